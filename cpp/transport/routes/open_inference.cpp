#include "transport/routes/open_inference.h"

#include <charconv>
#include <memory>
#include <string>
#include <utility>

#include <portfire/model.h>

#include "core/text.h"
#include "transport/http/head.h"
#include "transport/wire/describe.h"
#include "transport/wire/infer_json.h"

namespace portfire::routes {
namespace {

using Served = std::shared_ptr<const serving::Served>;

constexpr const char* kBinaryHeader = "Inference-Header-Content-Length";

std::size_t json_bytes_of(const http::Request& request, std::size_t body) {
  const std::optional<std::string_view> given = request.header(kBinaryHeader);
  if (!given) return body;
  std::size_t bytes = 0;
  const auto [end, error] = std::from_chars(given->data(), given->data() + given->size(), bytes);
  if (error != std::errc() || end != given->data() + given->size()) throw Error(ErrorCode::kInvalidInput, cat(kBinaryHeader, " is ", quoted(*given), "; the length of the JSON in bytes"));
  return bytes;
}

void send_outputs(http::Exchange& exchange, const wire::InferRequest& request, const serving::Served& served, std::vector<NamedTensor> outputs) {
  const std::vector<std::string> none;
  const std::vector<wire::InferOutput> chosen = wire::chosen_outputs(request, std::move(outputs), served.info().manifest ? served.info().manifest->labels : none);
  std::size_t json_bytes = 0;
  http::Reply reply;
  reply.body = wire::infer_reply(request, served.name(), served.version(), chosen, json_bytes);
  if (json_bytes < reply.body.size() || std::any_of(chosen.begin(), chosen.end(), [](const auto& one) { return one.binary; })) {
    reply.content_type = "application/octet-stream";
    reply.headers.emplace_back(kBinaryHeader, std::to_string(json_bytes));
  }
  exchange.send(std::move(reply));
}

void infer(const Call& call, const Served& served) {
  const std::string& body = call.request.body();
  auto request = std::make_shared<wire::InferRequest>(wire::infer_request_of(body, json_bytes_of(call.request, body.size())));
  std::shared_ptr<serving::Job> job = wire::job_for(*request);
  job->done = [request, served, exchange = call.exchange](serving::Result result, const serving::JobTimes&) {
    try {
      if (const Error* error = std::get_if<Error>(&result)) throw *error;
      send_outputs(*exchange, *request, *served, std::get<std::vector<NamedTensor>>(std::move(result)));
    } catch (const std::exception& failure) {
      exchange->send(http::reply_for(failure));
    }
  };
  served->batcher().submit(job);
  call.exchange->on_gone([job] { job->cancelled = true; });
}

}  // namespace

void add_open_inference(Router& router, const Site& site) {
  router.add("GET", "/v2", [](Call& call) { call.reply(wire::server_metadata().dump()); });
  router.add("GET", "/v2/health/live", [](Call& call) { call.reply(R"({"live":true})"); });
  router.add("GET", "/v2/health/ready", [site](Call& call) {
    const bool stopping = site.stopping && site.stopping();
    if (site.repository.settled() && !stopping) return call.reply(R"({"ready":true})");
    call.exchange->send(http::error_reply(503, "unavailable", stopping ? "the server is stopping" : "models are being loaded"));
  });
  for (const bool versioned : {false, true}) {
    const std::string model = versioned ? "/v2/models/{}/versions/{}" : "/v2/models/{}";
    const auto served_by = [site, versioned](const Call& call) { return find(call, site, call.parts[0], versioned ? version_in(call.parts[1]) : 0); };
    router.add("GET", model, [site, served_by](Call& call) { call.reply(wire::model_metadata(site.repository, *served_by(call)).dump()); });
    router.add("GET", model + "/ready", [served_by](Call& call) {
      call.reply(cat(R"({"name":)", wire::json_string(served_by(call)->name()), R"(,"ready":true})"));
    });
    router.add("POST", model + "/infer", [served_by](Call& call) { infer(call, served_by(call)); });
  }
}

}  // namespace portfire::routes
