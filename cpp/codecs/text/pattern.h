#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace portfire::text {

/// A part of a text, in bytes.
struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool operator==(const Range&) const = default;
};

/// A regular expression over UTF-8, by PCRE2 with Unicode properties. Immutable and thread-safe.
class Pattern {
 public:
  /// `expression` is in PCRE2's syntax; a `literal` stands for itself. Throws kUnsupported on one that PCRE2
  /// does not take.
  static Pattern regex(const std::string& expression);
  static Pattern literal(const std::string& text);

  /// The matches in valid UTF-8 from the left, none of them empty and none within another. Throws
  /// kResourceExhausted where an expression backtracks without end.
  [[nodiscard]] std::vector<Range> find_all(std::string_view text) const;

 private:
  struct Code;
  explicit Pattern(std::string expression) : expression_(std::move(expression)) {}
  std::string expression_;
  std::shared_ptr<const Code> code_;  ///< null: a literal
};

}  // namespace portfire::text
