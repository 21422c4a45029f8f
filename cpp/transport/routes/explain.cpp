#include <charconv>
#include <cmath>
#include <memory>
#include <utility>

#include "core/text.h"
#include "serving/explainer.h"
#include "transport/http/head.h"
#include "transport/routes/open_inference.h"
#include "transport/wire/infer_json.h"

namespace portfire::routes {
namespace {

using Served = std::shared_ptr<const serving::Served>;

/// The shortest text that reads as the same float.
std::string number(float value) {
  if (!std::isfinite(value)) return "null";
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

std::string to_json(const serving::Explanation& made) {
  std::string json = cat(R"({"label": )", wire::json_string(made.label), R"(, "probability": )", number(made.probability), R"(, "method": "occlusion", )");
  if (made.grid.rows == 0) {
    json += R"("tokens": [)";
    for (std::size_t k = 0; k < made.words.size(); ++k) {
      const Word& word = made.words[k];
      json += cat(k == 0 ? "" : ", ", R"({"text": )", wire::json_string(word.text), R"(, "start": )", word.start, R"(, "end": )", word.end, R"(, "value": )", number(made.drops[k]), "}");
    }
    return json + "]}\n";
  }
  json += cat(R"("heatmap": {"height": )", made.grid.rows, R"(, "width": )", made.grid.columns, R"(, "values": [)");
  const auto columns = static_cast<std::size_t>(made.grid.columns);
  for (std::size_t k = 0; k < made.drops.size(); ++k) {
    json += cat(k % columns != 0 ? ", " : (k == 0 ? "[" : "], ["), number(made.drops[k]));
  }
  return json + "]]}}\n";
}

serving::Clock::time_point deadline_of(const Target& target) {
  const auto found = target.query.find("timeout");
  if (found == target.query.end()) return serving::Clock::time_point::max();
  constexpr std::int64_t kLongest = std::int64_t{24} * 3600 * 1'000'000;
  std::int64_t microseconds = 0;
  const std::string& text = found->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), microseconds);
  if (error != std::errc() || end != text.data() + text.size() || microseconds < 1 || microseconds > kLongest) {
    throw Error(ErrorCode::kInvalidArgument, cat("timeout is ", quoted(text), "; microseconds from 1 to ", kLongest, ", a day"));
  }
  return serving::Clock::now() + std::chrono::microseconds(microseconds);
}

void explain(const Call& call, const Served& served) {
  const std::string& body = call.request.body();
  if (body.empty()) throw Error(ErrorCode::kInvalidInput, cat("the body is empty; ", served->name(), " takes the raw input as the body (curl --data-binary @FILE)"));
  const auto label = call.target.query.find("label");
  const serving::ExplainOptions options{.label = label == call.target.query.end() ? "" : label->second, .deadline = deadline_of(call.target)};
  const auto explainer = serving::Explainer::start(served, Input::bytes(std::as_bytes(std::span(body)), "body"), options, [exchange = call.exchange](std::variant<serving::Explanation, Error> what) {
    if (const Error* error = std::get_if<Error>(&what)) return exchange->send(http::reply_for(*error));
    exchange->send({.status = 200, .content_type = "application/json", .body = to_json(std::get<serving::Explanation>(what)), .headers = {}});
  });
  call.exchange->on_gone([explainer] { explainer->cancel(); });
}

}  // namespace

void add_explanations(Router& router, const Site& site) {
  router.add("POST", "/v1/models/{}:explain", [site](Call& call) { explain(call, find(call, site, call.parts[0])); });
  router.add("POST", "/v1/models/{}/versions/{}:explain", [site](Call& call) { explain(call, find(call, site, call.parts[0], version_in(call.parts[1]))); });
}

}  // namespace portfire::routes
