#pragma once

/// What Unicode says of a code point, by utf8proc.
namespace portfire::text {

bool is_whitespace(char32_t c) noexcept;         ///< the property White_Space
bool is_mark(char32_t c) noexcept;               ///< general category M
bool is_nonspacing_mark(char32_t c) noexcept;    ///< Mn
bool is_number(char32_t c) noexcept;             ///< N
bool is_punctuation(char32_t c) noexcept;        ///< P, or ASCII punctuation and symbols
bool is_control(char32_t c) noexcept;            ///< Cc, Cf, Co, but for tab, line feed and carriage return
bool is_word(char32_t c) noexcept;               ///< letters, marks, digits, connectors and joiners
bool is_cjk_ideograph(char32_t c) noexcept;      ///< as BERT's tokenizer defines it

}  // namespace portfire::text
