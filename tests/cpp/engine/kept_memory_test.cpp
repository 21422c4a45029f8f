#include "engine/libtorch/kept_memory.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

namespace portfire::libtorch {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kKeeps = false;
#else
constexpr bool kKeeps = true;
#endif

constexpr std::int64_t kLarge = std::int64_t{64} << 20;

void* place_of_one(const KeptMemory& memory, std::int64_t bytes) {
  const KeptMemory::Scope scope(memory);
  return at::empty({bytes}, at::kByte).mutable_data_ptr();
}

std::int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t all = 0, resident = 0;
  statm >> all >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

TEST(KeptMemory, IsThereForTheNextCall) {
  if (!kKeeps) GTEST_SKIP() << "a sanitizer keeps freed memory";
  const KeptMemory memory;
  void* const first = place_of_one(memory, kLarge);
  for (int call = 0; call < 10; ++call) EXPECT_EQ(place_of_one(memory, kLarge - call), first);
}

TEST(KeptMemory, GoesWhenCallsDoNotNeedIt) {
  if (!kKeeps) GTEST_SKIP() << "a sanitizer keeps freed memory";
  const KeptMemory memory;
  const std::int64_t before = resident_bytes();
  {
    const KeptMemory::Scope scope(memory);
    (void)at::full({kLarge}, 1, at::kByte);
  }
  EXPECT_GT(resident_bytes(), before + kLarge / 2);
  for (int call = 0; call < 20; ++call) (void)place_of_one(memory, 1 << 17);
  EXPECT_LT(resident_bytes(), before + kLarge / 2);
}

TEST(KeptMemory, DoesNotPileUpWhatAnOldCallGaveAway) {
  if (!kKeeps) GTEST_SKIP() << "a sanitizer keeps freed memory";
  const KeptMemory memory;
  const std::int64_t before = resident_bytes();
  std::vector<at::Tensor> outputs;
  for (int call = 0; call < 40; ++call) {
    const KeptMemory::Scope scope(memory);
    outputs.push_back(at::full({kLarge / 4}, 1, at::kByte));
  }
  EXPECT_GT(resident_bytes(), before + 8 * kLarge);
  outputs.clear();
  EXPECT_LT(resident_bytes(), before + 3 * kLarge);
}

TEST(KeptMemory, GrowingCallsDoNotPileUpEither) {
  if (!kKeeps) GTEST_SKIP() << "a sanitizer keeps freed memory";
  const KeptMemory memory;
  const std::int64_t before = resident_bytes();
  std::int64_t most = 0;
  for (int call = 0; call < 12; ++call) {
    const KeptMemory::Scope scope(memory);
    for (int layer = 0; layer < 4; ++layer) (void)at::full({kLarge / 2 + (call * 4 + layer) * (kLarge / 64)}, 1, at::kByte);
    most = std::max(most, resident_bytes() - before);
  }
  EXPECT_LT(most, 4 * kLarge);  // each call needs one of at most 1.25
}

TEST(KeptMemory, ATensorOutlivesItAndDiesElsewhere) {
  auto memory = std::make_unique<KeptMemory>();
  at::Tensor tensor;
  {
    const KeptMemory::Scope scope(*memory);
    tensor = at::full({kLarge}, 7, at::kByte);
  }
  memory.reset();
  EXPECT_EQ(tensor.sum().item<std::int64_t>(), 7 * kLarge);
  std::thread([last = std::move(tensor)]() mutable { last.reset(); }).join();
}

TEST(KeptMemory, IsNotSharedBetweenCallsAtTheSameTime) {
  const KeptMemory memory;
  const KeptMemory other;
  const KeptMemory::Scope outer(memory);
  const at::Tensor a = at::full({kLarge}, 1, at::kByte);
  {
    const KeptMemory::Scope inner(other);
    const at::Tensor b = at::full({kLarge}, 2, at::kByte);
    std::thread([&] {
      const KeptMemory::Scope third(memory);
      const at::Tensor c = at::full({kLarge}, 3, at::kByte);
      EXPECT_EQ(c.sum().item<std::int64_t>(), 3 * kLarge);
    }).join();
    EXPECT_EQ(b.sum().item<std::int64_t>(), 2 * kLarge);
  }
  EXPECT_EQ(a.sum().item<std::int64_t>(), kLarge);
}

/// As oneDNN takes its scratch memory: without a tensor, and perhaps given back at another time.
TEST(KeptMemory, GivesBareMemoryWithinACallAndWithout) {
  const KeptMemory memory;
  at::Allocator* const allocator = c10::GetCPUAllocator();
  void* outside = allocator->raw_allocate(kLarge);
  void* inside = nullptr;
  {
    const KeptMemory::Scope scope(memory);
    inside = allocator->raw_allocate(kLarge);
    EXPECT_NE(inside, outside);
    allocator->raw_deallocate(outside);
    void* const again = allocator->raw_allocate(kLarge);
    EXPECT_NE(again, inside);
    allocator->raw_deallocate(again);
  }
  allocator->raw_deallocate(inside);
}

}  // namespace
}  // namespace portfire::libtorch
