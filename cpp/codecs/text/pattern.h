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
  /// `expression` is in Oniguruma's syntax (pattern_syntax.h); a `literal` stands for itself. Throws kUnsupported on one
  /// that cannot be taken.
  static Pattern regex(const std::string& expression);
  static Pattern literal(const std::string& text);

  /// The matches in valid UTF-8 from the left, none within another; an empty one never where one before it ended. None in
  /// an empty text, or of an empty literal. Throws kResourceExhausted where an expression backtracks without end.
  [[nodiscard]] std::vector<Range> find_all(std::string_view text) const;

 private:
  struct Code;
  explicit Pattern(std::string expression) : expression_(std::move(expression)) {}
  std::string expression_;
  std::shared_ptr<const Code> code_;  ///< null: a literal
};

}  // namespace portfire::text
