#include "tasks/generation/stop_strings.h"

#include <gtest/gtest.h>

namespace portfire {
namespace {

TEST(StopStrings, PassOnWhatCannotBelongToOne) {
  StopStrings stops({"END", "\n\n"});
  EXPECT_EQ(stops.push("one EN"), "one ");
  EXPECT_EQ(stops.push("ERGY"), "ENERGY");
  EXPECT_EQ(stops.push(" two\n"), " two");
  EXPECT_EQ(stops.push("three E"), "\nthree ");
  EXPECT_EQ(stops.finish(), "E");
  EXPECT_FALSE(stops.found());
}

TEST(StopStrings, EndTheTextBeforeTheFirstOfThem) {
  StopStrings stops({"b", "ab"});
  EXPECT_EQ(stops.push("xxabyy"), "xx");
  EXPECT_TRUE(stops.found());
  EXPECT_EQ(stops.push("more"), "");
  EXPECT_EQ(stops.finish(), "");
}

TEST(StopStrings, AreFoundAcrossParts) {
  StopStrings stops({"User:"});
  EXPECT_EQ(stops.push("hello Us"), "hello ");
  EXPECT_EQ(stops.push("er"), "");
  EXPECT_EQ(stops.push(": hi"), "");
  EXPECT_TRUE(stops.found());
}

TEST(StopStrings, NoneHoldNothing) {
  StopStrings stops({});
  EXPECT_EQ(stops.push("all of it"), "all of it");
}

}  // namespace
}  // namespace portfire
