#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include <portfire/error.h>

namespace portfire::test {

/// Runs `body`, which must throw a portfire::Error of `code` whose one-line message holds `part`.
template <typename Body>
void expect_error(Body body, ErrorCode code, const std::string& part) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(info_of(error.code()).name, info_of(code).name) << error.what();
    EXPECT_THAT(error.what(), testing::HasSubstr(part));
    return;
  }
  ADD_FAILURE() << "no error, where one with " << part << " was expected";
}

}  // namespace portfire::test
