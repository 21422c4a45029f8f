#include "codecs/text/normalizers.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <portfire/error.h>

#include "codecs/text/characters.h"
#include "core/text.h"

namespace portfire::text {
namespace {

constexpr std::size_t kLongestCluster = 10'000;  // code points; utf8proc orders marks in quadratic time

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// Hangul of other encodings, which begins a cluster but in the compatible forms becomes what may end one.
bool becomes_jamo(char32_t c) { return (c >= 0x3131 && c <= 0x318E) || (c >= 0xFFA0 && c <= 0xFFDC); }

/// One grapheme cluster in a normal form: nothing beyond it can change what it becomes, but for those of becomes_jamo.
std::string normalized(std::string_view cluster, utf8proc_option_t options) {
  if (count_code_points(cluster) > kLongestCluster) {
    throw Error(ErrorCode::kInvalidInput, cat("the text has a character of ", count_code_points(cluster), " code points; at most ",
                                              kLongestCluster, " can be normalized"));
  }
  utf8proc_uint8_t* made = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(cluster.data()),
                                             static_cast<utf8proc_ssize_t>(cluster.size()), &made, options);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> held(made, &std::free);
  if (size < 0) throw Error(ErrorCode::kInternal, cat("utf8proc: ", utf8proc_errmsg(size)));
  return {reinterpret_cast<const char*>(made), static_cast<std::size_t>(size)};
}

/// Each code point of a cluster by itself, where that comes to the same: no mark changes its place, none is composed.
bool one_by_one(Rewriter& rewriter, std::string_view text, Range cluster, std::string_view form_of, utf8proc_option_t options) {
  std::vector<std::pair<Range, std::string>> parts;
  std::string_view rest = form_of;
  for (std::size_t at = cluster.begin; at < cluster.end;) {
    const Range range{at, at + code_point_at(text, at).bytes};
    parts.emplace_back(range, normalized(text.substr(at, range.end - at), options));
    if (!rest.starts_with(parts.back().second)) return false;
    rest.remove_prefix(parts.back().second.size());
    at = range.end;
  }
  if (!rest.empty()) return false;
  for (const auto& [range, part] : parts) rewriter.replace(part, range);
  return true;
}

void to_normal_form(AlignedText& text, int form) {
  const std::string& bytes = text.bytes();
  if (is_ascii(bytes)) return;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | form);
  const bool compatible = (form & UTF8PROC_COMPAT) != 0;
  Rewriter rewriter(text);
  for (std::size_t begin = 0; begin < bytes.size();) {
    utf8proc_int32_t state = 0;
    CodePoint c = code_point_at(bytes, begin);
    std::size_t end = begin + c.bytes;
    while (end < bytes.size()) {
      const CodePoint next = code_point_at(bytes, end);
      const bool breaks = utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(c.value), static_cast<utf8proc_int32_t>(next.value), &state);
      if (next.value < 0x80 || (breaks && !(compatible && becomes_jamo(next.value)))) break;
      c = next;
      end += c.bytes;
    }
    const std::string_view cluster = std::string_view(bytes).substr(begin, end - begin);
    if (cluster.size() == 1) {
      rewriter.keep({begin, end});
    } else {
      const std::string form_of = normalized(cluster, options);
      if (form_of == cluster) {
        rewriter.keep({begin, end});
      } else if (!one_by_one(rewriter, bytes, {begin, end}, form_of, options)) {
        rewriter.replace(form_of, {begin, end});
      }
    }
    begin = end;
  }
  text = rewriter.done();
}

void to_lower(AlignedText& text) {
  rewrite_code_points(text, [](char32_t c, std::string& out) {
    if (c < 0x80) {
      if (c < 'A' || c > 'Z') return true;
      out += static_cast<char>(c | 0x20);
      return false;
    }
    if (c == 0x130) {  // the one code point whose lower case is two (SpecialCasing.txt)
      out += "i\xCC\x87";
      return false;
    }
    const auto lower = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
    if (lower == c) return true;
    append(out, lower);
    return false;
  });
}

/// Removes the code points for which `gone` holds.
template <typename Gone>
void remove_where(AlignedText& text, Gone gone) {
  rewrite_code_points(text, [gone](char32_t c, std::string&) { return !gone(c); });
}

/// As BERT's reference tokenizer cleans a text.
void clean(AlignedText& text) {
  rewrite_code_points(text, [](char32_t c, std::string& out) {
    if (c == 0 || c == 0xFFFD || is_control(c)) return false;
    if (c == ' ' || !is_whitespace(c)) return true;
    out += ' ';
    return false;
  });
}

void space_ideographs(AlignedText& text) {
  rewrite_code_points(text, [](char32_t c, std::string& out) {
    if (!is_cjk_ideograph(c)) return true;
    out += ' ';
    append(out, c);
    out += ' ';
    return false;
  });
}

Normalizer bert(const JsonNode& node) {
  const auto flag = [&](std::string_view key, bool otherwise) {
    return node.has(key) && !node.at(key).is_null() ? node.at(key).boolean() : otherwise;
  };
  const bool lower = flag("lowercase", true);
  const bool cleans = flag("clean_text", true);
  const bool spaces = flag("handle_chinese_chars", true);
  const bool strips = flag("strip_accents", lower);
  return [=](AlignedText& text) {
    if (cleans) clean(text);
    if (spaces) space_ideographs(text);
    if (strips) {
      to_normal_form(text, UTF8PROC_DECOMPOSE);
      remove_where(text, is_nonspacing_mark);
    }
    if (lower) to_lower(text);
  };
}

Normalizer strip(bool left, bool right) {
  return [left, right](AlignedText& text) {
    const std::string& bytes = text.bytes();
    Range kept{0, bytes.size()};
    while (left && kept.begin < kept.end) {
      const CodePoint c = code_point_at(bytes, kept.begin);
      if (!is_whitespace(c.value)) break;
      kept.begin += c.bytes;
    }
    while (right && kept.begin < kept.end) {
      const CodePoint c = code_point_before(bytes, kept.end);
      if (!is_whitespace(c.value)) break;
      kept.end -= c.bytes;
    }
    if (kept != Range{0, bytes.size()}) text = text.part(kept);
  };
}

Normalizer replace(const JsonNode& node) {
  node.require({"pattern", "content"});
  return [pattern = make_pattern(node.at("pattern")), content = node.at("content").string()](AlignedText& text) {
    const std::vector<Range> found = pattern.find_all(text.bytes());
    if (found.empty()) return;
    Rewriter rewriter(text);
    std::size_t at = 0;
    for (const Range& range : found) {
      rewriter.keep({at, range.begin});
      rewriter.replace(content, range);
      at = range.end;
    }
    rewriter.keep({at, text.bytes().size()});
    text = rewriter.done();
  };
}

Normalizer prepend(std::string text_before) {
  return [before = std::move(text_before)](AlignedText& text) {
    if (text.empty()) return;
    Rewriter rewriter(text);
    rewriter.replace(before, {0, 1});  // from the first code point
    rewriter.keep({0, text.bytes().size()});
    text = rewriter.done();
  };
}

Normalizer sequence(const JsonNode& node) {
  node.require({"normalizers"});
  std::vector<Normalizer> steps;
  for (const JsonNode& step : node.at("normalizers").elements()) steps.push_back(make_normalizer(step));
  return [steps](AlignedText& text) {
    for (const Normalizer& step : steps) step(text);
  };
}

}  // namespace

void fail_unknown(const JsonNode& node, const std::string& part, const std::string& type) {
  try {
    node.fail(cat("the ", part, " ", quoted(type), " is not known here; docs/tokenizers.md lists what is"));
  } catch (const Error& error) {
    throw Error(ErrorCode::kUnsupported, error.what());
  }
}

Pattern make_pattern(const JsonNode& node) {
  const auto [kind, value] = node.only_field();
  if (kind == "String") return Pattern::literal(value.string());
  if (kind == "Regex") return Pattern::regex(value.string());
  node.fail(cat("the key ", quoted(kind), " is no pattern; one of String, Regex"));
}

Normalizer make_normalizer(const JsonNode& node) {
  node.require({"type"});
  const std::string type = node.at("type").string();
  if (type == "Sequence") return sequence(node);
  if (type == "BertNormalizer") return bert(node);
  if (type == "NFC") return [](AlignedText& text) { to_normal_form(text, UTF8PROC_COMPOSE); };
  if (type == "NFD") return [](AlignedText& text) { to_normal_form(text, UTF8PROC_DECOMPOSE); };
  if (type == "NFKC") return [](AlignedText& text) { to_normal_form(text, UTF8PROC_COMPOSE | UTF8PROC_COMPAT); };
  if (type == "NFKD") return [](AlignedText& text) { to_normal_form(text, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT); };
  if (type == "Lowercase") return to_lower;
  if (type == "StripAccents") return [](AlignedText& text) { remove_where(text, is_mark); };
  if (type == "Strip") return strip(node.has("strip_left") && node.at("strip_left").boolean(), node.has("strip_right") && node.at("strip_right").boolean());
  if (type == "Replace") return replace(node);
  if (type == "Prepend") {
    node.require({"prepend"});
    return prepend(node.at("prepend").string());
  }
  fail_unknown(node, "normalizer", type);
}

}  // namespace portfire::text
