#include <portfire/model.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/version.h>

namespace portfire {
namespace {

TEST(Version, HasThreeNumbers) {
  EXPECT_THAT(std::string(version()), testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
}

TEST(Version, OfTorchIsTheOneBuiltAgainst) { EXPECT_TRUE(std::string_view(TORCH_VERSION).starts_with(torch_version())); }

}  // namespace
}  // namespace portfire
