#include "transport/routes/target.h"

#include <algorithm>
#include <charconv>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::routes {
namespace {

std::string unescaped(std::string_view text, bool plus_is_space) {
  std::string out;
  for (std::size_t k = 0; k < text.size(); ++k) {
    char c = text[k];
    if (c == '%') {
      unsigned value = 0;
      const char* digits = text.data() + k + 1;
      if (k + 2 >= text.size() || std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2) {
        throw Error(ErrorCode::kInvalidInput, cat("the request's target has a % without two hexadecimal digits: ", quoted(text)));
      }
      c = static_cast<char>(value);
      k += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (static_cast<unsigned char>(c) < 32 || c == 127) throw Error(ErrorCode::kInvalidInput, cat("the request's target has a control character: ", quoted(text)));
    out += c;
  }
  return out;
}

/// "/v2?x" of "http://host/v2?x", which servers must take too (RFC 9112 section 3.2.2).
std::string_view origin_form(std::string_view text) {
  if (text.starts_with('/')) return text;
  for (const std::string_view scheme : {"http://", "https://"}) {
    const auto alike = [](char a, char b) { return a == b || (a >= 'A' && a <= 'Z' && a + 32 == b); };
    if (text.size() <= scheme.size() || !std::equal(scheme.begin(), scheme.end(), text.begin(), [&](char wanted, char c) { return alike(c, wanted); })) continue;
    const std::size_t end = std::min(text.find_first_of("/?#", scheme.size()), text.size());
    if (end == scheme.size()) break;  // of nobody
    const std::string_view rest = text.substr(end);
    if (rest.starts_with('/')) return rest;
    if (rest.empty() || rest.starts_with('#')) return "/";
    return rest;
  }
  throw Error(ErrorCode::kInvalidInput, cat("the request's target is ", quoted(text), "; it begins with a /"));
}

}  // namespace

Target target_of(std::string_view given) {
  const std::string_view text = origin_form(given).substr(0, origin_form(given).find('#'));
  const std::size_t question = std::min(text.find('?'), text.size());
  Target target;
  std::string_view path = text.substr(0, question);
  if (!path.empty()) path.remove_prefix(1);
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    target.path.push_back(unescaped(path.substr(0, slash), false));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  std::string_view query = text.substr(std::min(question + 1, text.size()));
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    const std::size_t equals = std::min(pair.find('='), pair.size());
    target.query[unescaped(pair.substr(0, equals), true)] = unescaped(pair.substr(std::min(equals + 1, pair.size())), true);
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return target;
}

}  // namespace portfire::routes
