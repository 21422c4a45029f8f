#include "archive/json_node.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <nlohmann/json.hpp>
#include <portfire/error.h>

#include "core/text.h"

namespace portfire {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 64;

[[noreturn]] void fail_document(const std::string& name, const std::string& problem) {
  throw Error(ErrorCode::kInvalidPackage, cat(name, ": ", problem));
}

std::string describe(const Json& value) {
  if (value.is_string()) return quoted(value.get_ref<const std::string&>());
  if (value.is_structured()) return value.is_array() ? "an array" : "an object";
  return value.dump();
}

}  // namespace

Json parse_strict_json(std::string_view text, const std::string& name, std::size_t max_bytes) {
  if (text.size() > max_bytes) {
    fail_document(name, cat(human_bytes(static_cast<double>(text.size())), "; at most ",
                            human_bytes(static_cast<double>(max_bytes)), " are read"));
  }
  std::vector<std::set<std::string>> keys;  // of the open objects, outermost first
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth) fail_document(name, cat("nested more than ", kMaxDepth, " deep"));
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      fail_document(name, cat("the key ", quoted(parsed.get_ref<const std::string&>()), " is there twice"));
    }
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), watch);
  } catch (const Json::exception& error) {
    const std::string_view what = error.what();  // "[json.exception.parse_error.101] parse error at …"
    const std::size_t end = what.find("] ");
    fail_document(name, cat("not JSON: ", what.substr(end == std::string_view::npos ? 0 : end + 2).substr(0, 200)));
  }
}

void JsonNode::fail(const std::string& problem) const {
  fail_document(*document_, path_.empty() ? problem : cat(path_, ": ", problem));
}

void JsonNode::expect_fields(std::initializer_list<std::string_view> required,
                             std::initializer_list<std::string_view> optional) const {
  require(required);
  for (const auto& [key, value] : value_->items()) {
    const auto known = [&k = key](std::string_view name) { return name == k; };
    if (std::any_of(required.begin(), required.end(), known) || std::any_of(optional.begin(), optional.end(), known)) {
      continue;
    }
    std::string allowed;
    for (const auto& names : {required, optional}) {
      for (const std::string_view name : names) allowed += cat(allowed.empty() ? "" : ", ", name);
    }
    fail(cat("the field ", quoted(key), " is not known; allowed are ", allowed));
  }
}

void JsonNode::require(std::initializer_list<std::string_view> required) const {
  if (!value_->is_object()) fail(cat(describe(*value_), " is not an object"));
  for (const std::string_view key : required) {
    if (!has(key)) fail(cat("the field ", quoted(key), " is missing"));
  }
}

std::pair<std::string, JsonNode> JsonNode::only_field() const {
  if (!value_->is_object() || value_->size() != 1) fail(cat(describe(*value_), " is not an object of one field"));
  return {value_->begin().key(), JsonNode(*value_->begin(), *document_, cat(path_, ".", value_->begin().key()))};
}

JsonNode JsonNode::only_field(std::string_view key) const {
  const auto [name, value] = only_field();
  if (name != key) fail(cat("the field ", quoted(key), " is missing"));
  return value;
}

bool JsonNode::has(std::string_view key) const { return value_->contains(key); }

JsonNode JsonNode::at(std::string_view key) const {
  return {value_->at(std::string(key)), *document_, path_.empty() ? std::string(key) : cat(path_, ".", key)};
}

std::vector<std::pair<std::string, JsonNode>> JsonNode::fields() const {
  if (!value_->is_object()) fail(cat(describe(*value_), " is not an object"));
  std::vector<std::pair<std::string, JsonNode>> nodes;
  for (const auto& [key, value] : value_->items()) {
    nodes.emplace_back(key, JsonNode(value, *document_, cat(path_, "[", quoted(key), "]")));
  }
  return nodes;
}

std::vector<JsonNode> JsonNode::elements() const {
  if (!value_->is_array()) fail(cat(describe(*value_), " is not an array"));
  std::vector<JsonNode> nodes;
  for (const Json& value : *value_) nodes.push_back({value, *document_, cat(path_, "[", nodes.size(), "]")});
  return nodes;
}

bool JsonNode::is_null() const { return value_->is_null(); }

bool JsonNode::is_string() const { return value_->is_string(); }

std::string JsonNode::string() const {
  if (!value_->is_string()) fail(cat(describe(*value_), " is not a string"));
  return value_->get<std::string>();
}

bool JsonNode::boolean() const {
  if (!value_->is_boolean()) fail(cat(describe(*value_), " is neither true nor false"));
  return value_->get<bool>();
}

std::int64_t JsonNode::integer(std::int64_t minimum) const {
  const bool fits = value_->is_number_integer() &&
                    !(value_->is_number_unsigned() &&
                      value_->get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()});
  if (!fits || value_->get<std::int64_t>() < minimum) {
    fail(cat(describe(*value_), " is not a whole number of at least ", minimum));
  }
  return value_->get<std::int64_t>();
}

double JsonNode::number() const {
  if (!value_->is_number() || !std::isfinite(value_->get<double>())) {
    fail(cat(describe(*value_), " is not a finite number"));
  }
  return value_->get<double>();
}

std::string JsonNode::object_text() const {
  if (!value_->is_object()) fail(cat(describe(*value_), " is not an object"));
  return value_->dump();
}

}  // namespace portfire
