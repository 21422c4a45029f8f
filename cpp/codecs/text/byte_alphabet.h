#pragma once

#include <optional>
#include <string>
#include <string_view>

/// GPT-2's alphabet: a printable code point for each byte, so that tokens of any bytes can be spelled in JSON
/// (openai/gpt-2, encoder.py, bytes_to_unicode).
namespace portfire::text {

/// The bytes that a token spelled in the alphabet stands for; nothing where it has a code point of no byte.
std::optional<std::string> bytes_spelled(std::string_view token);
std::string spelling_of(std::string_view bytes);

}  // namespace portfire::text
