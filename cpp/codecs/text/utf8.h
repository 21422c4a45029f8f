#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace portfire::text {

/// One code point of a text and the bytes that it takes there.
struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 1;
};

/// The code point at `at` of valid UTF-8; `at` is where one begins.
CodePoint code_point_at(std::string_view valid, std::size_t at) noexcept;
/// The one that ends before `end`, which is not 0.
CodePoint code_point_before(std::string_view valid, std::size_t end) noexcept;

void append(std::string& text, char32_t code_point);

/// True for the second to fourth byte of a code point.
inline bool is_continuation(char c) noexcept { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

/// How many bytes from the start are valid UTF-8: all, where the text is.
std::size_t valid_prefix(std::string_view bytes) noexcept;

/// The bytes at the end that begin a code point and lack its rest: 0 to 3.
std::size_t unfinished_tail(std::string_view bytes) noexcept;

/// What is not UTF-8 becomes U+FFFD, one for each maximal part of a code point (Unicode 15, 3.9, the
/// recommended practice; Python's and Rust's too).
std::string repaired(std::string_view bytes);

std::size_t count_code_points(std::string_view valid) noexcept;

}  // namespace portfire::text
