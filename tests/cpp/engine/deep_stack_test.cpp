#include "engine/torchscript/deep_stack.h"

#include <thread>

#include "../archive/expect_error.h"

namespace portfire::torchscript {
namespace {

/// Uses `levels` KiB of stack and gives `levels`.
int descend(int levels) {
  volatile char room[1024] = {};
  return levels == 0 ? room[0] : 1 + descend(levels - 1) + room[levels % 1024];
}

TEST(OnDeepStack, HasTheStackAskedFor) {
  int levels = 0;
  on_deep_stack(std::size_t{64} << 20, [&] { levels = descend(32 << 10); });
  EXPECT_EQ(levels, 32 << 10);
}

TEST(OnDeepStack, TakesMoreAddressesThanThereIsMemory) {
  bool called = false;
  on_deep_stack(std::size_t{64} << 30, [&] { called = true; });
  EXPECT_TRUE(called);
}

TEST(OnDeepStack, RunsOnAnotherThreadAndWaits) {
  std::thread::id other;
  on_deep_stack(1 << 20, [&] { other = std::this_thread::get_id(); });
  EXPECT_NE(other, std::this_thread::get_id());
  EXPECT_NE(other, std::thread::id());
}

TEST(OnDeepStack, ThrowsWhatTheBodyThrows) {
  test::expect_error([] { on_deep_stack(1 << 20, [] { throw Error(ErrorCode::kNotFound, "gone"); }); }, ErrorCode::kNotFound, "gone");
}

TEST(OnDeepStack, SaysWhenThereIsNoRoom) {
  test::expect_error([] { on_deep_stack(std::size_t{1} << 60, [] {}); }, ErrorCode::kResourceExhausted, "no address space for a stack of ");
}

}  // namespace
}  // namespace portfire::torchscript
