#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <simdjson.h>

#include "core/text.h"

/// What reads JSON of strangers with simdjson: every value is looked at, also what is not used, and every error says where.
/// Parts of `where` begin an error's text: "inputs[0].shape". All throw kInvalidInput.
namespace portfire::wire {

namespace json = simdjson::ondemand;

/// Lists and objects within one another.
inline constexpr int kDeepest = 32;

[[noreturn]] void refuse(const std::string& where, const std::string& what);

/// Throws on an error, saying where and what is meant to be there.
void require(simdjson::error_code error, const std::string& where, const char* wanted);

/// Reads all of a value that is not used, so that what is not JSON is found.
void pass_over(json::value value, const std::string& where, int depth = 0);

std::string text_of(json::value value, const std::string& where);
std::int64_t integer_of(json::value value, const std::string& where);
bool truth_of(json::value value, const std::string& where);

/// Calls `use(key, value)` for each field; what it does not use it must pass over.
template <typename Use>
void for_each_field(json::value value, const std::string& where, const Use& use) {
  json::object object;
  require(value.get_object().get(object), where, "an object");
  for (auto field : object) {
    json::field one;
    require(std::move(field).get(one), where, "a field");
    std::string_view key;
    require(one.unescaped_key().get(key), where, "text");
    use(key, one.value());
  }
}

template <typename Use>
void for_each_element(json::value value, const std::string& where, const Use& use) {
  json::array array;
  require(value.get_array().get(array), where, "a list");
  for (auto element : array) {
    json::value one;
    require(std::move(element).get(one), where, "a value");
    use(one);
  }
}

}  // namespace portfire::wire
