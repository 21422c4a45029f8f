#include "codecs/text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "codecs/text/utf8.h"

namespace portfire::text {
namespace {

constexpr char32_t kShifted = 256;  // bytes that are not printable are spelled from here on

constexpr bool is_printable(unsigned byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<char32_t, 256> letter{};
  std::array<std::int16_t, 512> byte{};

  constexpr Alphabet() {
    byte.fill(-1);
    char32_t next = kShifted;
    for (unsigned k = 0; k < 256; ++k) {
      letter[k] = is_printable(k) ? k : next++;
      byte[letter[k]] = static_cast<std::int16_t>(k);
    }
  }
};

constexpr Alphabet kAlphabet;

}  // namespace

std::optional<std::string> bytes_spelled(std::string_view token) {
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const CodePoint c = code_point_at(token, at);
    if (c.value >= kAlphabet.byte.size() || kAlphabet.byte[c.value] < 0) return std::nullopt;
    bytes += static_cast<char>(kAlphabet.byte[c.value]);
    at += c.bytes;
  }
  return bytes;
}

std::string spelling_of(std::string_view bytes) {
  std::string token;
  for (const char byte : bytes) append(token, kAlphabet.letter[static_cast<unsigned char>(byte)]);
  return token;
}

}  // namespace portfire::text
