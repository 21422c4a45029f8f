#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace portfire {

/// A JSON document of bounded size and depth, valid UTF-8, without duplicate keys. `name` is what errors
/// call it. Throws kInvalidPackage.
nlohmann::json parse_strict_json(std::string_view text, const std::string& name, std::size_t max_bytes = std::size_t{16} << 20);

/// A place in a JSON document that knows its path, so that an error can name it:
/// `digits.pt: manifest: methods.forward.inputs[0].dtype: …`. Every getter throws kInvalidPackage when the
/// value is of another kind. Refers to the document and its name, which outlive it.
class JsonNode {
 public:
  JsonNode(const nlohmann::json& value, const std::string& document) : value_(&value), document_(&document) {}

  [[noreturn]] void fail(const std::string& problem) const;

  /// An object with each of `required` and at most these and `optional`.
  void expect_fields(std::initializer_list<std::string_view> required,
                     std::initializer_list<std::string_view> optional = {}) const;
  /// An object with each of `required`, and whatever else.
  void require(std::initializer_list<std::string_view> required) const;
  /// The one field of an object that has one: a tagged union.
  [[nodiscard]] std::pair<std::string, JsonNode> only_field() const;
  /// The same where it can only be `key`.
  [[nodiscard]] JsonNode only_field(std::string_view key) const;
  [[nodiscard]] bool has(std::string_view key) const;
  /// A field that `expect_fields` or `require` has seen.
  [[nodiscard]] JsonNode at(std::string_view key) const;
  /// All fields of an object, sorted by key.
  [[nodiscard]] std::vector<std::pair<std::string, JsonNode>> fields() const;
  /// All elements of an array.
  [[nodiscard]] std::vector<JsonNode> elements() const;

  [[nodiscard]] bool is_null() const;
  [[nodiscard]] bool is_string() const;
  [[nodiscard]] std::string string() const;
  [[nodiscard]] bool boolean() const;
  /// A whole number of at least `minimum`.
  [[nodiscard]] std::int64_t integer(std::int64_t minimum) const;
  /// A finite number.
  [[nodiscard]] double number() const;
  /// The value itself, for who reads very many of one kind.
  [[nodiscard]] const nlohmann::json& value() const { return *value_; }
  /// An object, as compact JSON.
  [[nodiscard]] std::string object_text() const;

 private:
  JsonNode(const nlohmann::json& value, const std::string& document, std::string path)
      : value_(&value), document_(&document), path_(std::move(path)) {}

  const nlohmann::json* value_;
  const std::string* document_;
  std::string path_;
};

}  // namespace portfire
