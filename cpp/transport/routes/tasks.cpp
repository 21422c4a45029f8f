#include <algorithm>
#include <atomic>
#include <charconv>
#include <map>
#include <memory>
#include <utility>

#include <portfire/codecs.h>
#include <portfire/input.h>

#include "core/text.h"
#include "transport/http/head.h"
#include "transport/routes/open_inference.h"
#include "transport/wire/multipart.h"

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

/// What a request brings, each with the name that errors give it.
using Inputs = std::vector<Input>;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

/// One tensor: .npy or JSON.
Tensor tensor_of(const wire::FormPart& part, const std::string& where) {
  if (part.content.starts_with("\x93NUMPY")) return decode_npy(bytes_of(part.content), where);
  std::vector<NamedTensor> tensors = decode_json_tensors(bytes_of(part.content), where);
  if (tensors.size() != 1) throw Error(ErrorCode::kInvalidInput, cat(where, ": ", tensors.size(), " tensors; a part that is named as an input holds one"));
  return std::move(tensors[0].tensor);
}

/// Parts that are named as the inputs of `forward`: the first of each name is one call, the second of each the next.
Inputs calls_of(const std::vector<wire::FormPart>& parts, const std::vector<TensorSpec>& inputs) {
  std::map<std::string, std::vector<NamedTensor>, std::less<>> columns;
  for (std::size_t k = 0; k < parts.size(); ++k) {
    columns[parts[k].name].push_back({parts[k].name, tensor_of(parts[k], cat("parts[", k, "] ", quoted(parts[k].name)))});
  }
  const std::size_t count = columns.begin()->second.size();
  std::vector<std::vector<NamedTensor>> calls(count);
  for (const TensorSpec& input : inputs) {
    std::vector<NamedTensor>& column = columns[input.name];
    if (column.size() != count) {
      throw Error(ErrorCode::kInvalidInput, cat("the form has ", column.size(), " parts ", quoted(input.name), " and ", count, ' ', quoted(columns.begin()->first), "; each call takes one of each"));
    }
    for (std::size_t k = 0; k < count; ++k) calls[k].push_back(std::move(column[k]));
  }
  Inputs made;
  for (std::size_t k = 0; k < count; ++k) made.push_back(Input::tensors(std::move(calls[k]), cat("call ", k)));
  return made;
}

Inputs inputs_of(const std::vector<wire::FormPart>& parts, const ModelInfo& info) {
  const bool takes_several = info.task == "tensor" && info.signature && info.signature->inputs.size() > 1;
  const auto is_input = [&](const wire::FormPart& part) {
    return std::any_of(info.signature->inputs.begin(), info.signature->inputs.end(), [&](const TensorSpec& input) { return input.name == part.name; });
  };
  if (takes_several && std::all_of(parts.begin(), parts.end(), is_input)) return calls_of(parts, info.signature->inputs);
  Inputs made;
  for (std::size_t k = 0; k < parts.size(); ++k) {
    const wire::FormPart& part = parts[k];
    made.push_back(Input::bytes(bytes_of(part.content), cat("parts[", k, "] ", quoted(part.file_name.empty() ? part.name : part.file_name))));
  }
  return made;
}

std::shared_ptr<serving::Job> job_for(Input input, const RunOptions& options) {
  auto job = std::make_shared<serving::Job>();
  job->input = std::move(input);
  job->options = options;
  return job;
}

void send_json(http::Exchange& exchange, std::string json) {
  exchange.send({.status = 200, .content_type = "application/json", .body = json + "\n", .headers = {}});
}

/// The answers of a form's inputs, replied to once all are there: which input an error names does not depend on who is first.
struct Answers {
  Served served;
  std::shared_ptr<http::Exchange> exchange;
  std::vector<std::string> names;
  std::vector<serving::Result> results;
  std::atomic<std::size_t> left;

  void set(std::size_t index, serving::Result result) {
    results[index] = std::move(result);
    if (left.fetch_sub(1) == 1) reply();
  }

  void reply() const {
    std::string json = "[";
    for (std::size_t k = 0; k < results.size(); ++k) {
      if (const Error* error = std::get_if<Error>(&results[k])) {
        const bool is_named = std::string_view(error->what()).starts_with(names[k]);
        return exchange->send(http::reply_for(is_named ? *error : Error(error->code(), cat(names[k], ": ", error->what()))));
      }
      json += cat(k == 0 ? "" : ", ", std::get<Answer>(results[k]).to_json());
    }
    send_json(*exchange, json + "]");
  }
};

void run_form(const Call& call, const Served& served, std::string_view boundary) {
  const RunOptions options{.top_k = top_k_of(call.target)};
  Inputs inputs = inputs_of(wire::form_parts(call.request.body(), boundary), served->info());
  const std::size_t count = inputs.size();
  const auto answers = std::make_shared<Answers>(served, call.exchange, std::vector<std::string>(count), std::vector<serving::Result>(count), count);
  std::vector<std::shared_ptr<serving::Job>> jobs;
  for (std::size_t k = 0; k < count; ++k) {
    answers->names[k] = inputs[k].name();
    jobs.push_back(job_for(std::move(inputs[k]), options));
    jobs.back()->done = [answers, k](serving::Result result, const serving::JobTimes&) { answers->set(k, std::move(result)); };
  }
  const auto cancel = [jobs] {
    for (const auto& job : jobs) job->cancelled = true;
  };
  try {
    for (const auto& job : jobs) served->batcher().submit(job);
  } catch (const Error&) {
    cancel();  // those before it were not too many
    throw;
  }
  call.exchange->on_gone(cancel);
}

void run(const Call& call, const Served& served) {
  const std::string& body = call.request.body();
  if (body.empty()) throw Error(ErrorCode::kInvalidInput, cat("the body is empty; ", served->name(), " takes the raw input as the body (curl --data-binary @FILE)"));
  if (const auto boundary = wire::form_boundary(call.request.header("Content-Type").value_or(""))) return run_form(call, served, *boundary);
  const std::shared_ptr<serving::Job> job = job_for(Input::bytes(bytes_of(body), "body"), {.top_k = top_k_of(call.target)});
  job->done = [served, exchange = call.exchange](serving::Result result, const serving::JobTimes&) {
    if (const Error* error = std::get_if<Error>(&result)) return exchange->send(http::reply_for(*error));
    send_json(*exchange, std::get<Answer>(result).to_json());
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
