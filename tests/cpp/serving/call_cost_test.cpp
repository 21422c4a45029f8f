#include "serving/call_cost.h"

#include <gtest/gtest.h>

namespace portfire::serving {
namespace {

using namespace std::chrono_literals;

TEST(CallCost, KnowsNothingBeforeTheFirstCall) {
  const CallCost cost;
  EXPECT_FALSE(cost.is_long());
  EXPECT_FALSE(cost.is_much(1'000'000));
}

TEST(CallCost, IsOfASampleOnOneProcessor) {
  CallCost cost;
  cost.add(4ms, 8, 2);
  EXPECT_FALSE(cost.is_long());  // 1 ms, and no more
  cost.add(1200us, 1, 1);
  EXPECT_TRUE(cost.is_long());
}

TEST(CallCost, IsMuchWhereManyWait) {
  CallCost cost;
  cost.add(800us, 32, 1);
  EXPECT_FALSE(cost.is_much(8));  // 25 us each
  EXPECT_TRUE(cost.is_much(9));
}

TEST(CallCost, FallsAtOnceAndRisesByLittle) {
  CallCost cost;
  cost.add(16ms, 1, 1);
  cost.add(100us, 1, 1);
  EXPECT_FALSE(cost.is_much(2));
  cost.add(16ms, 1, 1);
  EXPECT_FALSE(cost.is_long());
  EXPECT_TRUE(cost.is_much(2));
}

}  // namespace
}  // namespace portfire::serving
