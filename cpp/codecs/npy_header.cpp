#include "codecs/npy_header.h"

#include <charconv>
#include <optional>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {
namespace {

/// Reads the few forms of Python literal that NumPy writes.
class Parser {
 public:
  Parser(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  NpyHeader header() {
    std::optional<std::string> descr;
    std::optional<bool> fortran_order;
    std::optional<std::vector<std::int64_t>> shape;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !descr) {
        descr = type();
      } else if (key == "fortran_order" && !fortran_order) {
        fortran_order = boolean();
      } else if (key == "shape" && !shape) {
        shape = tuple();
      } else {
        fail(cat("unknown or repeated key ", quoted(key)));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) fail("text after the dictionary");
    if (!descr || !fortran_order || !shape) fail("descr, fortran_order and shape are needed");
    return {.descr = *descr, .fortran_order = *fortran_order, .shape = *shape};
  }

 private:
  [[noreturn]] void fail(std::string_view why) const {
    throw Error(ErrorCode::kInvalidInput, cat(name_, ": damaged .npy header at its byte ", at_, ": ", why));
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  bool accept(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!accept(c)) fail(cat("'", c, "' is needed"));
  }

  bool accept(std::string_view word) {
    skip_space();
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  std::string string() {
    skip_space();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    const std::size_t end = quote == '\'' || quote == '"' ? text_.find(quote, at_ + 1) : std::string_view::npos;
    if (end == std::string_view::npos) fail("a string is needed");
    const std::string_view value = text_.substr(at_ + 1, end - at_ - 1);
    if (value.find('\\') != std::string_view::npos) fail("an escape in a string");
    at_ = end + 1;
    return std::string(value);
  }

  std::string type() {
    skip_space();
    if (at_ < text_.size() && (text_[at_] == '[' || text_[at_] == '(')) {
      throw Error(ErrorCode::kUnsupported, cat(name_, ": an array of records; one number type is needed"));
    }
    return string();
  }

  bool boolean() {
    if (accept("True")) return true;
    if (!accept("False")) fail("True or False is needed");
    return false;
  }

  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> values;
    expect('(');
    while (!accept(')')) {
      skip_space();
      std::int64_t value = 0;
      const char* begin = text_.data() + at_;
      const auto [end, problem] = std::from_chars(begin, text_.data() + text_.size(), value);
      if (problem != std::errc{} || value < 0) fail("a size is needed");
      at_ += static_cast<std::size_t>(end - begin);
      values.push_back(value);
      accept('L');  // Python 2's long
      const bool comma = accept(',');
      if (values.size() == 1 && !comma) fail("a tuple of one has a comma");
      if (!comma) {
        expect(')');
        break;
      }
    }
    return values;
  }

  std::string_view text_;
  std::string_view name_;
  std::size_t at_ = 0;
};

}  // namespace

NpyHeader parse_npy_header(std::string_view text, std::string_view name) { return Parser(text, name).header(); }

}  // namespace portfire
