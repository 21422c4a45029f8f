#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <portfire/generate.h>

namespace portfire::routes {

/// The fields of a JSON object, each to be taken once. What is of another type throws kInvalidInput, naming the field.
class Fields {
 public:
  /// Throws kInvalidInput where `body` is not a JSON object. `where` begins the fields' names in errors.
  explicit Fields(std::string_view body);
  Fields(nlohmann::json object, std::string where);

  [[nodiscard]] std::string text(const char* name);  ///< throws where it is missing
  [[nodiscard]] std::string text(const char* name, std::string missing);
  [[nodiscard]] double number(const char* name, double missing);
  [[nodiscard]] std::int64_t whole(const char* name, std::int64_t missing);
  [[nodiscard]] bool truth(const char* name, bool missing);
  /// One text, or a list of them; null is none.
  [[nodiscard]] std::vector<std::string> texts(const char* name);
  /// An object; empty where it is missing.
  [[nodiscard]] Fields object(const char* name);
  /// A list as it is, null where it is missing.
  [[nodiscard]] const nlohmann::json* list(const char* name);
  /// Throws kUnsupported where there is such a field and it is neither null, false, 0 nor empty.
  void refuse(const char* name, const char* why);
  /// Fields that change no answer.
  void ignore(std::initializer_list<const char*> names);
  /// Throws kUnsupported where there is a field that nobody has asked for: what is not known is not passed over.
  void refuse_others();

  [[nodiscard]] bool has(const char* name);
  [[nodiscard]] bool is_text(const char* name);
  [[nodiscard]] const std::string& where() const noexcept { return where_; }
  [[noreturn]] void wrong(const char* name, const char* wanted) const;

 private:
  [[nodiscard]] const nlohmann::json* find(const char* name);

  nlohmann::json object_;
  std::string where_;
  std::set<std::string, std::less<>> asked_for_;
};

/// The options of Triton's `generate`: all those of `portfire run`, by their names there with '_' for '-'.
GenerateOptions generate_options_of(Fields& parameters);

}  // namespace portfire::routes
