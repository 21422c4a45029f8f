#include "transport/routes/text_request.h"

#include <random>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::routes {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostTexts = 128;

constexpr int kDeepest = 32;

/// What is copied or printed is walked through by calls within calls: depth is bounded before there is anything to walk through.
json parsed(std::string_view body) {
  int depth = 0;
  bool in_text = false;
  for (std::size_t k = 0; k < body.size(); ++k) {
    const char c = body[k];
    if (c == '"') in_text = !in_text;
    if (in_text) {
      k += c == '\\' ? 1 : 0;
    } else if (c == '[' || c == '{') {
      if (++depth > kDeepest) throw Error(ErrorCode::kInvalidInput, cat("the body is nested more than ", kDeepest, " deep"));
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return json::parse(body, nullptr, false);
}

std::uint64_t any_seed() {
  std::random_device source;
  return source();
}

}  // namespace

Fields::Fields(std::string_view body) : object_(parsed(body)) {
  if (object_.is_discarded()) throw Error(ErrorCode::kInvalidInput, "the body is not JSON");
  if (!object_.is_object()) throw Error(ErrorCode::kInvalidInput, "the body is not a JSON object");
}

Fields::Fields(json object, std::string where) : object_(std::move(object)), where_(std::move(where)) {}

const json* Fields::find(const char* name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void Fields::wrong(const char* name, const char* wanted) const {
  const std::string value = object_.contains(name) ? object_[name].dump(-1, ' ', true, json::error_handler_t::replace) : "missing";
  throw Error(ErrorCode::kInvalidInput, cat(where_, name, " is ", quoted(value), "; ", wanted));
}

bool Fields::has(const char* name) const { return find(name) != nullptr; }

std::string Fields::text(const char* name) {
  const json* value = find(name);
  if (value == nullptr || !value->is_string()) wrong(name, "text is needed");
  return value->get<std::string>();
}

std::string Fields::text(const char* name, std::string missing) { return has(name) ? text(name) : std::move(missing); }

double Fields::number(const char* name, double missing) {
  const json* value = find(name);
  if (value == nullptr) return missing;
  if (!value->is_number()) wrong(name, "a number is needed");
  return value->get<double>();
}

std::int64_t Fields::whole(const char* name, std::int64_t missing) {
  const json* value = find(name);
  if (value == nullptr) return missing;
  if (!value->is_number_integer() || (value->is_number_unsigned() && value->get<std::uint64_t>() > std::uint64_t{1} << 62)) wrong(name, "a whole number is needed");
  return value->get<std::int64_t>();
}

bool Fields::truth(const char* name, bool missing) {
  const json* value = find(name);
  if (value == nullptr) return missing;
  if (!value->is_boolean()) wrong(name, "true or false is needed");
  return value->get<bool>();
}

std::vector<std::string> Fields::texts(const char* name) {
  const json* value = find(name);
  if (value == nullptr) return {};
  if (value->is_string()) return {value->get<std::string>()};
  std::vector<std::string> all;
  if (!value->is_array()) wrong(name, "text or a list of texts is needed");
  for (const json& one : *value) {
    if (!one.is_string()) wrong(name, "text or a list of texts is needed");
    all.push_back(one.get<std::string>());
  }
  return all;
}

Fields Fields::object(const char* name) {
  const json* value = find(name);
  if (value == nullptr) return {json::object(), cat(where_, name, ".")};
  if (!value->is_object()) wrong(name, "an object is needed");
  return {*value, cat(where_, name, ".")};
}

void Fields::refuse(const char* name, const char* why) {
  const json* value = find(name);
  if (value == nullptr || *value == false || *value == 0 || *value == json::object() || *value == json::array()) return;
  throw Error(ErrorCode::kUnsupported, cat(where_, name, ": ", why));
}

CompletionRequest completion_request_of(std::string_view body) {
  Fields fields(body);
  CompletionRequest request;
  request.model = fields.text("model");
  request.prompts = fields.texts("prompt");
  if (request.prompts.empty()) throw Error(ErrorCode::kInvalidInput, "prompt is missing; text or a list of texts is needed");
  request.choices = fields.whole("n", 1);
  if (request.choices < 1 || request.choices > kMostTexts / static_cast<std::int64_t>(std::min<std::size_t>(request.prompts.size(), kMostTexts + 1))) {
    throw Error(ErrorCode::kInvalidArgument, cat("n is ", request.choices, " for ", request.prompts.size(), " prompts; 1 to ", kMostTexts, " texts in all"));
  }
  GenerateOptions& options = request.options;
  options.max_new_tokens = fields.whole("max_tokens", 16);
  options.temperature = fields.number("temperature", 1);
  options.top_p = fields.number("top_p", 1);
  options.top_k = fields.whole("top_k", 0);
  options.min_p = fields.number("min_p", 0);
  options.frequency_penalty = fields.number("frequency_penalty", 0);
  options.repetition_penalty = fields.number("repetition_penalty", 1);
  options.seed = fields.has("seed") ? static_cast<std::uint64_t>(fields.whole("seed", 0)) : any_seed();
  options.stop = fields.texts("stop");
  request.stream = fields.truth("stream", false);
  request.includes_usage = fields.object("stream_options").truth("include_usage", false);
  request.echo = fields.truth("echo", false);
  fields.refuse("presence_penalty", "is not supported; frequency_penalty and repetition_penalty are");
  fields.refuse("logit_bias", "is not supported");
  fields.refuse("logprobs", "is not supported here; /v1/models/{name}:run gives log_probabilities");
  fields.refuse("suffix", "is not supported: models here write on from the prompt");
  if (fields.whole("best_of", request.choices) != request.choices) throw Error(ErrorCode::kUnsupported, "best_of: is not supported beyond n; num_beams of generate searches");
  return request;
}

GenerateOptions generate_options_of(Fields& parameters) {
  GenerateOptions options;
  options.max_new_tokens = parameters.whole("max_tokens", parameters.whole("max_new_tokens", options.max_new_tokens));
  options.temperature = parameters.number("temperature", options.temperature);
  options.top_k = parameters.whole("top_k", options.top_k);
  options.top_p = parameters.number("top_p", options.top_p);
  options.min_p = parameters.number("min_p", options.min_p);
  options.repetition_penalty = parameters.number("repetition_penalty", options.repetition_penalty);
  options.frequency_penalty = parameters.number("frequency_penalty", options.frequency_penalty);
  options.num_beams = parameters.whole("num_beams", options.num_beams);
  options.length_penalty = parameters.number("length_penalty", options.length_penalty);
  options.seed = static_cast<std::uint64_t>(parameters.whole("seed", 0));
  options.stop = parameters.texts("stop");
  return options;
}

}  // namespace portfire::routes
