#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include <portfire/error.h>

namespace portfire {

inline std::span<const std::byte> bytes_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

/// Runs a reader. It may give a result or throw an Error that blames the input; all else is a finding.
template <typename Read>
void refuse_or_read(Read read) {
  try {
    read();
  } catch (const Error& error) {
    const bool blames_the_input = error.code() == ErrorCode::kInvalidInput || error.code() == ErrorCode::kUnsupported;
    const bool one_line = std::string_view(error.what()).find('\n') == std::string_view::npos;
    if (!blames_the_input || !one_line) std::abort();
  }
}

/// The same of a file that packages hold and of what is then done with it.
template <typename Read>
void refuse_or_use_file(Read read) {
  try {
    read();
  } catch (const Error& error) {
    const bool blames_the_input = error.code() == ErrorCode::kInvalidPackage || error.code() == ErrorCode::kUnsupported ||
                                  error.code() == ErrorCode::kInvalidInput || error.code() == ErrorCode::kResourceExhausted;
    const bool one_line = std::string_view(error.what()).find('\n') == std::string_view::npos;
    if (!blames_the_input || !one_line) std::abort();
  }
}

/// What was read and written again must read as the same.
inline void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace portfire
