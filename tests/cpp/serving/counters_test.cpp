#include "serving/counters.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace portfire::serving {
namespace {

TEST(Histogram, CountsWhatIsAtMostEachBound) {
  SizesHistogram sizes(kSizes);
  for (const double value : {0.0, 1.0, 1.5, 2.0, 256.0, 257.0, 1e9}) sizes.observe(value);
  EXPECT_EQ(sizes.count(0), 2U);  // 0 and 1
  EXPECT_EQ(sizes.count(1), 2U);  // 1.5 and 2
  EXPECT_EQ(sizes.count(8), 1U);  // 256
  EXPECT_EQ(sizes.count(9), 2U);  // beyond
  EXPECT_EQ(sizes.total(), 7U);
  EXPECT_DOUBLE_EQ(sizes.sum(), 1e9 + 517.5);
  EXPECT_EQ(sizes.bounds().size(), kSizes.size());
}

TEST(Histogram, BoundsAscend) {
  EXPECT_TRUE(std::is_sorted(kSeconds.begin(), kSeconds.end()));
  EXPECT_TRUE(std::is_sorted(kSizes.begin(), kSizes.end()));
}

TEST(Counters, LoseNothingThatManyThreadsCount) {
  Counters counters;
  std::vector<std::thread> threads;
  for (int k = 0; k < 4; ++k) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) {
        counters.total.observe(1);
        counters.fail(ErrorCode::kOverloaded);
        counters.fail(ErrorCode::kUnavailable);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counters.total.total(), 4000U);
  EXPECT_DOUBLE_EQ(counters.total.sum(), 4000);
  EXPECT_EQ(counters.failed(), 8000U);
  EXPECT_EQ(counters.errors[static_cast<std::size_t>(ErrorCode::kOverloaded)], 4000U);
}

TEST(Counters, HaveRoomForEveryError) {
  Counters counters;
  for (const ErrorCodeInfo& info : error_codes()) EXPECT_LT(static_cast<std::size_t>(info.code), counters.errors.size());
}

}  // namespace
}  // namespace portfire::serving
