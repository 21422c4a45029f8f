#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <portfire/error.h>

#include "core/file.h"

namespace portfire {

using Bytes = std::vector<std::byte>;

/// The bytes of tests/data/<path>.
inline Bytes test_data(const std::string& path) { return read_file(std::string(PORTFIRE_TEST_DATA) + "/" + path); }

inline std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Bytes bytes_of(std::string_view text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

/// The little-endian bytes of a number, as text to put files together with.
template <typename T>
std::string little_endian(T value) {
  std::string text(sizeof value, '\0');
  std::memcpy(text.data(), &value, sizeof value);
  return text;
}

/// The message of the Error of that code which `call` throws; otherwise a failure, and an empty string.
template <typename Call>
std::string refusal(ErrorCode code, Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(info_of(error.code()).name, info_of(code).name) << error.what();
    EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

}  // namespace portfire
