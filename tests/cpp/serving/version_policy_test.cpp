#include "serving/version_policy.h"

#include <gtest/gtest.h>

#include "../archive/expect_error.h"

namespace portfire::serving {
namespace {

using Policy = std::pair<std::string, VersionPolicy>;

TEST(VersionPolicy, ListsVersionsOrCountsTheNewest) {
  EXPECT_EQ(version_policy_of("digits=3"), (Policy{"digits", {.listed = {3}}}));
  EXPECT_EQ(version_policy_of("digits=3,1,3"), (Policy{"digits", {.listed = {1, 3}}}));
  EXPECT_EQ(version_policy_of("a.b-c_d=latest:2"), (Policy{"a.b-c_d", {.latest = 2}}));
}

TEST(VersionPolicy, WhatMeansNothingIsRefused) {
  for (const char* bad : {"", "digits", "=1", "digits=", "digits=0", "digits=-1", "digits=1,", "digits=,1", "digits=1 ", "digits=1.5", "digits=99999999999999999999", "a/b=1", "digits=latest",
                          "digits=latest:", "digits=latest:0", "digits=latest:2,1", "digits=1,latest:2", "digits==1", "digits=all"}) {
    test::expect_error([&] { (void)version_policy_of(bad); }, ErrorCode::kInvalidArgument, "NAME=latest:2");
  }
}

}  // namespace
}  // namespace portfire::serving
