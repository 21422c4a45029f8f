#include "codecs/text/utf8.h"

#include <algorithm>
#include <cstring>

namespace portfire::text {
namespace {

constexpr unsigned byte_at(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }

/// What a leading byte announces (Unicode 15, table 3-7): the bytes, and the range of the second.
struct Lead {
  std::size_t bytes = 0;  ///< 0: no leading byte
  unsigned least = 0x80;
  unsigned most = 0xBF;
};

Lead lead_of(unsigned byte) {
  if (byte < 0x80) return {1};
  if (byte < 0xC2) return {0};
  if (byte < 0xE0) return {2};
  if (byte == 0xE0) return {3, 0xA0};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3};
  if (byte == 0xF0) return {4, 0x90};
  if (byte < 0xF4) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0};
}

/// The bytes at `at` that fit what the first of them announces, and whether that is all of a code point.
struct Part {
  std::size_t bytes = 0;
  bool whole = false;
};

Part part_at(std::string_view text, std::size_t at) {
  const Lead lead = lead_of(byte_at(text, at));
  if (lead.bytes == 0) return {};
  std::size_t have = 1;
  while (have < lead.bytes && at + have < text.size()) {
    const unsigned next = byte_at(text, at + have);
    if (next < (have == 1 ? lead.least : 0x80U) || next > (have == 1 ? lead.most : 0xBFU)) break;
    ++have;
  }
  return {have, have == lead.bytes};
}

/// The ASCII bytes from `at`, eight at a time.
std::size_t skip_ascii(std::string_view text, std::size_t at) {
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, text.data() + at, 8);
    if ((eight & 0x8080808080808080U) != 0) break;
  }
  while (at < text.size() && byte_at(text, at) < 0x80) ++at;
  return at;
}

}  // namespace

CodePoint code_point_at(std::string_view valid, std::size_t at) noexcept {
  const unsigned first = byte_at(valid, at);
  const auto rest = [&](std::size_t k) { return byte_at(valid, at + k) & 0x3FU; };
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {((first & 0x1FU) << 6) | rest(1), 2};
  if (first < 0xF0) return {((first & 0x0FU) << 12) | (rest(1) << 6) | rest(2), 3};
  return {((first & 0x07U) << 18) | (rest(1) << 12) | (rest(2) << 6) | rest(3), 4};
}

CodePoint code_point_before(std::string_view valid, std::size_t end) noexcept {
  std::size_t at = end - 1;
  while (at > 0 && is_continuation(valid[at])) --at;
  return code_point_at(valid, at);
}

void append(std::string& text, char32_t c) {
  const auto put = [&](char32_t byte) { text += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3F));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

std::size_t valid_prefix(std::string_view bytes) noexcept {
  std::size_t at = 0;
  while ((at = skip_ascii(bytes, at)) < bytes.size()) {
    const Part part = part_at(bytes, at);
    if (!part.whole) break;
    at += part.bytes;
  }
  return at;
}

std::size_t unfinished_tail(std::string_view bytes) noexcept {
  const std::size_t most = std::min<std::size_t>(bytes.size(), 3);
  for (std::size_t back = 1; back <= most; ++back) {
    const std::size_t at = bytes.size() - back;
    if (is_continuation(bytes[at])) continue;
    const Part part = part_at(bytes, at);
    return !part.whole && part.bytes == back ? back : 0;
  }
  return 0;
}

std::string repaired(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t good = valid_prefix(bytes.substr(at));
    text += bytes.substr(at, good);
    at += good;
    if (at == bytes.size()) break;
    text += "\xEF\xBF\xBD";
    at += std::max<std::size_t>(part_at(bytes, at).bytes, 1);
  }
  return text;
}

std::size_t count_code_points(std::string_view valid) noexcept {
  return valid.size() - static_cast<std::size_t>(std::count_if(valid.begin(), valid.end(), is_continuation));
}

}  // namespace portfire::text
