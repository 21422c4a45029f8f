#include "transport/routes/text_request.h"

#include <utility>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::routes {
namespace {

using nlohmann::json;

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

}  // namespace

Fields::Fields(std::string_view body) : object_(parsed(body)) {
  if (object_.is_discarded()) throw Error(ErrorCode::kInvalidInput, "the body is not JSON");
  if (!object_.is_object()) throw Error(ErrorCode::kInvalidInput, "the body is not a JSON object");
}

Fields::Fields(json object, std::string where) : object_(std::move(object)), where_(std::move(where)) {}

const json* Fields::find(const char* name) {
  asked_for_.insert(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void Fields::wrong(const char* name, const char* wanted) const {
  const std::string value = object_.contains(name) ? object_[name].dump(-1, ' ', true, json::error_handler_t::replace) : "missing";
  throw Error(ErrorCode::kInvalidInput, cat(where_, name, " is ", quoted(value), "; ", wanted));
}

bool Fields::has(const char* name) { return find(name) != nullptr; }

bool Fields::is_text(const char* name) {
  const json* value = find(name);
  return value != nullptr && value->is_string();
}

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

const json* Fields::list(const char* name) {
  const json* value = find(name);
  if (value != nullptr && !value->is_array()) wrong(name, "a list is needed");
  return value;
}

void Fields::ignore(std::initializer_list<const char*> names) {
  for (const char* name : names) asked_for_.insert(name);
}

void Fields::refuse_others() {
  for (const auto& [name, value] : object_.items()) {
    if (!asked_for_.contains(name) && !value.is_null()) throw Error(ErrorCode::kUnsupported, cat(where_, quoted(name), ": is not known here; leave it out"));
  }
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
