#include <charconv>
#include <utility>

#include <portfire/input.h>

#include "core/text.h"
#include "transport/http/head.h"
#include "transport/routes/open_inference.h"

namespace portfire::routes {
namespace {

using Served = std::shared_ptr<const serving::Served>;

constexpr int kMostTopK = 1000;

int top_k_of(const Target& target) {
  const auto found = target.query.find("top_k");
  if (found == target.query.end()) return RunOptions{}.top_k;
  int value = 0;
  const std::string& text = found->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > kMostTopK) {
    throw Error(ErrorCode::kInvalidArgument, cat("top_k is ", quoted(text), "; 1 to ", kMostTopK));
  }
  return value;
}

void run(const Call& call, const Served& served) {
  const std::string& body = call.request.body();
  if (body.empty()) throw Error(ErrorCode::kInvalidInput, cat("the body is empty; ", served->name(), " takes the raw input as the body (curl --data-binary @FILE)"));
  auto job = std::make_shared<serving::Job>();
  job->input = Input::bytes(std::as_bytes(std::span(body)), "body");
  job->options.top_k = top_k_of(call.target);
  job->done = [served, exchange = call.exchange](serving::Result result, const serving::JobTimes&) {
    if (const Error* error = std::get_if<Error>(&result)) return exchange->send(http::reply_for(*error));
    exchange->send({.status = 200, .content_type = "application/json", .body = std::get<Answer>(result).to_json() + "\n", .headers = {}});
  };
  served->batcher().submit(job);
  call.exchange->on_gone([job] { job->cancelled = true; });
}

}  // namespace

void add_tasks(Router& router, const Site& site) {
  router.add("POST", "/v1/models/{}:run", [site](Call& call) { run(call, find(call, site, call.parts[0])); });
  router.add("POST", "/v1/models/{}/versions/{}:run", [site](Call& call) { run(call, find(call, site, call.parts[0], version_in(call.parts[1]))); });
}

}  // namespace portfire::routes
