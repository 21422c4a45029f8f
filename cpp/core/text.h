#pragma once

#include <sstream>
#include <string>
#include <string_view>

namespace portfire {

/// The arguments written one after another, as `operator<<` writes them (GCC 12 has no std::format).
template <typename... Args>
std::string cat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return std::move(out).str();
}

/// Foreign text, fit for one line of an error: at most `limit` bytes, control and non-ASCII bytes as \xNN.
std::string quoted(std::string_view text, std::size_t limit = 60);
/// Else a `std::string` would find `std::quoted` wherever <iomanip> is seen.
inline std::string quoted(const std::string& text, std::size_t limit = 60) {
  return quoted(std::string_view(text), limit);
}

/// "7.2 MiB"
std::string human_bytes(double bytes);

}  // namespace portfire
