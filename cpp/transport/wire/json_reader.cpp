#include "transport/wire/json_reader.h"

#include <utility>

#include <portfire/error.h>

namespace portfire::wire {

std::string Where::text() const {
  std::string out = within_ != nullptr ? cat(within_->text(), '.') : std::string();
  out += name_;
  if (index_ >= 0) out += cat('[', index_, ']');
  return out;
}

void refuse(const Where& where, const std::string& what) { throw Error(ErrorCode::kInvalidInput, cat(where.text(), what)); }

void require(simdjson::error_code error, const Where& where, const char* wanted) {
  if (error == simdjson::SUCCESS) return;
  if (error == simdjson::INCORRECT_TYPE) refuse(where, cat(" is not ", wanted));
  if (error == simdjson::NUMBER_OUT_OF_RANGE) refuse(where, " is a number out of range");
  refuse(where, cat(": not JSON: ", simdjson::error_message(error)));
}

void pass_over(json::value value, const Where& where, int depth) {
  if (depth > kDeepest) refuse(where, cat(" is nested more than ", kDeepest, " deep"));
  json::json_type type{};
  require(value.type().get(type), where, "a value");
  switch (type) {
    case json::json_type::array: {
      json::array all;
      require(value.get_array().get(all), where, "a list");
      for (auto one : all) {
        json::value inner;
        require(std::move(one).get(inner), where, "a value");
        pass_over(inner, where, depth + 1);
      }
      return;
    }
    case json::json_type::object: {
      json::object all;
      require(value.get_object().get(all), where, "an object");
      for (auto field : all) {
        json::field one;
        require(std::move(field).get(one), where, "a field");
        std::string_view key;
        require(one.unescaped_key().get(key), where, "text");
        pass_over(one.value(), where, depth + 1);
      }
      return;
    }
    case json::json_type::string: {
      std::string_view text;
      return require(value.get_string().get(text), where, "text");
    }
    case json::json_type::number: {
      double number = 0;
      return require(value.get_double().get(number), where, "a number");
    }
    case json::json_type::boolean: {
      bool truth = false;
      return require(value.get_bool().get(truth), where, "true or false");
    }
    case json::json_type::null:
      if (!value.is_null()) refuse(where, ": not JSON");
      return;
  }
}

std::string text_of(json::value value, const Where& where) {
  std::string_view text;
  require(value.get_string().get(text), where, "text");
  return std::string(text);
}

std::int64_t integer_of(json::value value, const Where& where) {
  std::int64_t number = 0;
  require(value.get_int64().get(number), where, "a whole number");
  return number;
}

bool truth_of(json::value value, const Where& where) {
  bool truth = false;
  require(value.get_bool().get(truth), where, "true or false");
  return truth;
}

}  // namespace portfire::wire
