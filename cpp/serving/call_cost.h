#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>

namespace portfire::serving {

/// Processor time that this thread has taken.
inline std::chrono::nanoseconds thread_time() noexcept {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

/// What one sample of a model costs, learnt from its calls in processor time: time by the clock would tell of the machine's other
/// load. Thread-safe.
class CallCost {
 public:
  /// A sample that costs more gains from several processors.
  static constexpr std::chrono::nanoseconds kLong{1'000'000};
  /// Samples that cost more together gain from a call beside another; less is done before a second thread is awake.
  static constexpr std::chrono::nanoseconds kMuch{200'000};

  /// A call of `samples` took so much on the calling thread, one of `processors` on which it ran.
  void add(std::chrono::nanoseconds time, std::int64_t samples, int processors) noexcept {
    const std::int64_t most = time.count() * processors / std::max<std::int64_t>(samples, 1);
    std::int64_t cost = cost_.load(std::memory_order_relaxed);
    if (cost < 0 || most < cost) {
      cost = most;
    } else if (processors == 1) {
      // Up by little: first calls, and those of large inputs, are dearer than most.
      cost = std::min(most, cost + cost / 16 + 1);
    }
    cost_.store(cost, std::memory_order_relaxed);
  }

  [[nodiscard]] bool is_much(std::int64_t samples) const noexcept { return cost_.load(std::memory_order_relaxed) * samples > kMuch.count(); }
  [[nodiscard]] bool is_long() const noexcept { return cost_.load(std::memory_order_relaxed) > kLong.count(); }

 private:
  std::atomic<std::int64_t> cost_{-1};  ///< nanoseconds; negative before the first call
};

}  // namespace portfire::serving
