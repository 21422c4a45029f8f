#include "archive/record_name.h"

#include <algorithm>

namespace portfire {
namespace {

/// The length of the well-formed UTF-8 sequence that `text` begins with, 0 when it begins with none.
/// The Unicode Standard, table 3-7.
std::size_t utf8_length(std::string_view text) {
  const auto at = [&](std::size_t k) { return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u; };
  const auto tail = [&](std::size_t k) { return at(k) >= 0x80 && at(k) <= 0xbf; };
  const unsigned lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return tail(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const bool second = (lead == 0xe0 ? at(1) >= 0xa0 : true) && (lead == 0xed ? at(1) <= 0x9f : true);
    return second && tail(1) && tail(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const bool second = (lead == 0xf0 ? at(1) >= 0x90 : true) && (lead == 0xf4 ? at(1) <= 0x8f : true);
    return second && tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string folded(std::string_view name) {
  std::string out(name);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return out;
}

std::string_view problem_with_path(std::string_view path) {
  if (path.empty()) return "is empty";
  for (std::size_t k = 0; k < path.size();) {
    const std::size_t length = utf8_length(path.substr(k));
    if (length == 0) return "is not UTF-8";
    const auto c = static_cast<unsigned char>(path[k]);
    if (c < 0x20 || c == 0x7f) return "holds a control character";
    if (c == '\\') return "holds a backslash";
    k += length;
  }
  if (path.front() == '/') return "is absolute";
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t slash = std::min(path.find('/', start), path.size());
    const std::string_view part = path.substr(start, slash - start);
    if (part.empty()) return "has an empty component";
    if (part == "." || part == "..") return "has a \".\" or \"..\" component";
    start = slash + 1;
  }
  return {};
}

}  // namespace portfire
