#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <simdjson.h>

#include "core/text.h"

/// What reads JSON of strangers with simdjson: every value is looked at, also what is not used, and every error says where.
/// All throw kInvalidInput.
namespace portfire::wire {

namespace json = simdjson::ondemand;

/// Lists and objects within one another.
inline constexpr int kDeepest = 32;

/// A place in a document, made into text only where an error needs it: "inputs[0].shape". Refers to what it is made of.
class Where {
 public:
  Where(std::string_view name) : name_(name) {}  // NOLINT: a name is a place
  Where(const char* name) : name_(name) {}
  Where(const Where& within, std::string_view name) : within_(&within), name_(name) {}
  Where(std::string_view list, std::size_t index) : name_(list), index_(static_cast<std::int64_t>(index)) {}
  [[nodiscard]] std::string text() const;

 private:
  const Where* within_ = nullptr;
  std::string_view name_;
  std::int64_t index_ = -1;
};

[[noreturn]] void refuse(const Where& where, const std::string& what);

/// Throws on an error, saying where and what is meant to be there.
void require(simdjson::error_code error, const Where& where, const char* wanted);

/// Reads all of a value that is not used, so that what is not JSON is found.
void pass_over(json::value value, const Where& where, int depth = 0);

std::string text_of(json::value value, const Where& where);
std::int64_t integer_of(json::value value, const Where& where);
bool truth_of(json::value value, const Where& where);

/// Calls `use(key, value)` for each field; what it does not use it must pass over.
template <typename Use>
void for_each_field(json::value value, const Where& where, const Use& use) {
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
void for_each_element(json::value value, const Where& where, const Use& use) {
  json::array array;
  require(value.get_array().get(array), where, "a list");
  for (auto element : array) {
    json::value one;
    require(std::move(element).get(one), where, "a value");
    use(one);
  }
}

}  // namespace portfire::wire
