#include "transport/routes/texts.h"

#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "transport/routes/openai.h"
#include "transport/routes/text_reply.h"
#include "transport/routes/text_request.h"

namespace portfire::routes {
namespace {

using nlohmann::ordered_json;

/// Triton's `generate`.
class GenerateReply final : public TextReply {
 public:
  using TextReply::TextReply;

 private:
  [[nodiscard]] ordered_json with(const std::string& text) const {
    return {{"model_name", served().name()}, {"model_version", std::to_string(served().version())}, {"text_output", text}};
  }
  std::string part(std::size_t, const Text& text, const std::string& written, const std::vector<TokenText>&) override {
    ordered_json json = with(written);
    if (text.ended) json["finish_reason"] = text.result.sequences.front().finish_reason;
    return event(json);
  }
  std::string last_events() override { return {}; }
  std::string whole() override {
    ordered_json json = with(texts().front().result.text());
    json["finish_reason"] = texts().front().result.sequences.front().finish_reason;
    return dumped(json);
  }
};

void generate(const Call& call, const Served& served, bool stream) {
  Fields fields(call.request.body());
  const std::string prompt = fields.text("text_input");
  Fields parameters = fields.object("parameters");
  const GenerateOptions options = generate_options_of(parameters);
  std::make_shared<GenerateReply>(served, call.exchange, stream)->start({Input::text(prompt, "prompt")}, options, 1);
}

}  // namespace

void add_texts(Router& router, const Site& site) {
  add_openai(router, site);
  for (const bool stream : {false, true}) {
    const std::string verb = stream ? "generate_stream" : "generate";
    router.add("POST", "/v2/models/{}/" + verb, [site, stream](Call& call) { generate(call, find(call, site, call.parts[0]), stream); });
    router.add("POST", "/v2/models/{}/versions/{}/" + verb,
               [site, stream](Call& call) { generate(call, find(call, site, call.parts[0], version_in(call.parts[1])), stream); });
  }
}

}  // namespace portfire::routes
