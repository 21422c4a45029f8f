#pragma once

#include <string>
#include <string_view>

namespace portfire::text {

/// What \w stands for in Oniguruma, in a class.
inline constexpr std::string_view kWordClass = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";

/// An expression in the syntax of Ruby's Oniguruma, with which tokenizer.json files are written, as PCRE2 spells it.
/// Throws kUnsupported on what has no such spelling: set operations and classes within classes, \W or \H within a class,
/// options in the middle of an alternative, verbs, conditions, and escapes that are not known here.
std::string pcre2_syntax(std::string_view expression);

}  // namespace portfire::text
