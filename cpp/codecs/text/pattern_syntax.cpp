#include "codecs/text/pattern_syntax.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include <portfire/error.h>

#include "codecs/text/utf8.h"
#include "core/text.h"

namespace portfire::text {
namespace {

constexpr std::string_view kHexClass = "0-9A-Fa-f";
/// Escapes that mean the same in both, before letters and digits; before anything else a backslash always does.
constexpr std::string_view kSameEscapes = "0123456789ADGNPRXZadefgknprtxz";

bool is_letter_or_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

/// Oniguruma knows the script of a name by the property Script, PCRE2 by Script_Extensions unless it is told.
bool is_script(std::string_view name) {
  int error = 0;
  PCRE2_SIZE place = 0;
  const std::string expression = cat("\\p{sc:", name, "}");
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(), PCRE2_UTF, &error, &place, nullptr);
  pcre2_code_free(code);
  return code != nullptr;
}

class Translation {
 public:
  explicit Translation(std::string_view expression) : all_(expression) {}

  std::string run() {
    while (at_ < all_.size()) {
      const std::size_t begin = out_.size();
      const char c = all_[at_];
      if (c == '\\') {
        escape(false);
      } else if (c == '[') {
        character_class();
      } else if (c == '(') {
        group();
        continue;
      } else if (c == '{' && interval()) {
        continue;
      } else {
        out_ += c;
        ++at_;
        if (c == ')' && !open_.empty()) {
          atom_ = open_.back();
          open_.pop_back();
        }
        if (c == ')' || c == '*' || c == '+' || c == '?' || is_continuation(c)) continue;  // the atom goes on
      }
      atom_ = begin;
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view part) const {
    throw Error(ErrorCode::kUnsupported, cat("the expression ", quoted(all_), ": ", quoted(part), " is not supported here"));
  }

  [[nodiscard]] bool has(std::string_view text) const { return all_.substr(at_).starts_with(text); }

  void escape(bool in_class) {
    if (at_ + 1 == all_.size()) refuse("\\");
    const char c = all_[at_ + 1];
    const std::string_view both = all_.substr(at_, 2);
    at_ += 2;
    const auto set = [&](std::string_view members) { in_class ? out_ += members : out_ += cat('[', members, ']'); };
    const auto other = [&](std::string_view members) {
      if (in_class) refuse(both);
      out_ += cat("[^", members, ']');
    };
    const auto word = [](std::string_view before, std::string_view after) { return cat('(', before, '[', kWordClass, "])(", after, '[', kWordClass, "])"); };
    switch (c) {
      case 's': out_ += R"(\p{White_Space})"; return;
      case 'S': out_ += R"(\P{White_Space})"; return;
      case 'w': return set(kWordClass);
      case 'W': return other(kWordClass);
      case 'h': return set(kHexClass);
      case 'H': return other(kHexClass);
      case 'v': out_ += R"(\x0b)"; return;
      case 'u': return code_unit();
      case 'x':  // of two digits, a byte there and a code point here
        if (at_ < all_.size() && std::string_view("89ABCDEFabcdef").find(all_[at_]) != std::string_view::npos) refuse(both);
        break;
      case 'p':
      case 'P': return property(c);
      case 'b':
        if (in_class) break;
        out_ += cat("(?:", word("?<=", "?!"), '|', word("?<!", "?="), ')');
        return;
      case 'B':
        if (in_class) break;
        out_ += cat("(?:", word("?<=", "?="), '|', word("?<!", "?!"), ')');
        return;
      default:
        if (is_letter_or_digit(c) && kSameEscapes.find(c) == std::string_view::npos) refuse(both);
    }
    out_ += both;
  }

  /// \uHHHH
  void code_unit() {
    const std::string_view digits = all_.substr(at_, 4);
    if (digits.size() != 4 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) refuse("\\u");
    out_ += cat("\\x{", digits, '}');
    at_ += 4;
  }

  void property(char c) {
    const std::size_t end = has("{") ? all_.find('}', at_) : std::string_view::npos;
    if (end == std::string_view::npos) refuse(cat('\\', c));
    std::string_view name = all_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    out_ += cat('\\', c, '{', negated ? "^" : "", name.size() > 2 && is_script(name) ? "sc:" : "", name, '}');
  }

  void character_class() {
    out_ += '[';
    ++at_;
    if (has("^")) {
      out_ += '^';
      ++at_;
    }
    if (has("]")) {
      out_ += "\\]";
      ++at_;
    }
    while (at_ < all_.size() && all_[at_] != ']') {
      if (has("&&")) refuse("&&");
      if (has("[:")) {
        bracket();
      } else if (has("[")) {
        refuse("[[");
      } else if (has("\\")) {
        escape(true);
      } else {
        out_ += all_[at_++];
      }
    }
    if (at_ == all_.size()) refuse("[");
    out_ += ']';
    ++at_;
  }

  /// [:name:]
  void bracket() {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kNames{
        {{"[:alpha:]", R"(\p{Alphabetic})"}, {"[:digit:]", R"(\p{Nd})"}, {"[:alnum:]", R"(\p{Alphabetic}\p{Nd})"},
         {"[:space:]", R"(\p{White_Space})"}, {"[:punct:]", R"(\p{P}\p{S})"}, {"[:word:]", kWordClass}, {"[:xdigit:]", kHexClass}}};
    for (const auto& [name, members] : kNames) {
      if (!has(name)) continue;
      out_ += members;
      at_ += name.size();
      return;
    }
    refuse(all_.substr(at_, 12));
  }

  void group() {
    const std::size_t begin = out_.size();
    if (has("(*")) refuse("(*");
    if (!has("(?")) {
      out_ += '(';
      ++at_;
      open_.push_back(begin);
      atom_ = out_.size();
      return;
    }
    if (has("(?#")) {
      const std::size_t end = all_.find(')', at_);
      if (end == std::string_view::npos) refuse("(?#");
      at_ = end + 1;
      return;
    }
    for (const std::string_view start : {"(?:", "(?=", "(?!", "(?>", "(?<"}) {
      if (!has(start)) continue;
      out_ += start;
      at_ += start.size();
      if (start == "(?<") {  // (?<=, (?<! or (?<name>
        const std::size_t size = has("=") || has("!") ? 1 : std::min(all_.find('>', at_), all_.size() - 1) + 1 - at_;
        out_ += all_.substr(at_, size);
        at_ += size;
      }
      open_.push_back(begin);
      atom_ = out_.size();
      return;
    }
    options(begin);
  }

  /// (?imx-imx) and (?imx-imx:…): what the one calls m, the other calls s.
  void options(std::size_t begin) {
    const std::size_t end = all_.find_first_not_of("imx-", at_ + 2);
    if (end == std::string_view::npos || (all_[end] != ')' && all_[end] != ':')) refuse(all_.substr(at_, 4));
    // Ruby's last to the end of the group, alternatives and all; PCRE2's differ where something is before them.
    const char before = at_ == 0 ? '(' : all_[at_ - 1];
    if (all_[end] == ')' && before != '(' && before != ':' && before != '|') refuse(all_.substr(at_, end + 1 - at_));
    std::string letters(all_.substr(at_, end + 1 - at_));
    std::replace(letters.begin(), letters.end(), 'm', 's');
    out_ += letters;
    if (all_[end] == ':') open_.push_back(begin);
    at_ = end + 1;
    atom_ = out_.size();
  }

  /// {n,m}: a + after it repeats it again, where PCRE2 would make it possessive. False where it is no interval.
  bool interval() {
    const std::size_t end = all_.find_first_not_of("0123456789,", at_ + 1);
    if (end == std::string_view::npos || all_[end] != '}' || end == at_ + 1) return false;
    const std::string_view inside = all_.substr(at_ + 1, end - at_ - 1);
    if (std::count(inside.begin(), inside.end(), ',') > 1 || inside == ",") return false;
    out_ += cat('{', inside.starts_with(',') ? "0" : "", inside, '}');
    at_ = end + 1;
    if (has("+")) {
      out_.insert(atom_, "(?:");
      out_ += ')';
    }
    return true;
  }

  std::string_view all_;
  std::size_t at_ = 0;
  std::string out_;
  std::size_t atom_ = 0;           ///< where what a quantifier would repeat begins in out_
  std::vector<std::size_t> open_;  ///< where the open groups begin in out_
};

}  // namespace

std::string pcre2_syntax(std::string_view expression) { return Translation(expression).run(); }

}  // namespace portfire::text
