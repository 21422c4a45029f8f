#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include <portfire/error.h>

namespace portfire::serving {

/// How many observations fell below each bound, and their sum. Thread-safe; a reader may see an observation in one
/// place before it does in another.
template <std::size_t kBounds>
class Histogram {
 public:
  explicit constexpr Histogram(const std::array<double, kBounds>& bounds) : bounds_(bounds) {}

  void observe(double value) noexcept {
    std::size_t k = 0;
    while (k < kBounds && value > bounds_[k]) ++k;
    counts_[k].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
  }

  [[nodiscard]] std::span<const double> bounds() const noexcept { return bounds_; }
  /// At most bound k, and more than bound k - 1; the last is beyond all bounds.
  [[nodiscard]] std::uint64_t count(std::size_t k) const noexcept { return counts_[k].load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t total() const noexcept {
    std::uint64_t all = 0;
    for (const auto& one : counts_) all += one.load(std::memory_order_relaxed);
    return all;
  }
  [[nodiscard]] double sum() const noexcept { return sum_.load(std::memory_order_relaxed); }

 private:
  const std::array<double, kBounds>& bounds_;
  std::array<std::atomic<std::uint64_t>, kBounds + 1> counts_{};
  std::atomic<double> sum_{0};
};

/// Seconds: from 50 microseconds to a minute.
inline constexpr std::array<double, 17> kSeconds{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3,
                                                 50e-3, 100e-3, 250e-3, 500e-3, 1, 5, 15, 60};
/// For texts: from a millisecond to ten minutes.
inline constexpr std::array<double, 17> kTextSeconds{1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3,
                                                     1, 2.5, 5, 10, 30, 60, 180, 600};
inline constexpr std::array<double, 9> kSizes{1, 2, 4, 8, 16, 32, 64, 128, 256};

using SecondsHistogram = Histogram<kSeconds.size()>;
using SizesHistogram = Histogram<kSizes.size()>;

inline double seconds(std::chrono::nanoseconds time) noexcept { return std::chrono::duration<double>(time).count(); }

/// What a version has done since it was loaded. Thread-safe.
struct Counters {
  SecondsHistogram total{kSeconds};  ///< from arrival to answer, of what was answered
  SecondsHistogram queue{kSeconds};
  SecondsHistogram preprocess{kSeconds};  ///< of a batch, as the next two
  SecondsHistogram forward{kSeconds};
  SecondsHistogram postprocess{kSeconds};
  SizesHistogram batch{kSizes};           ///< samples
  std::atomic<std::uint64_t> samples{0};  ///< answered
  std::array<std::atomic<std::uint64_t>, 32> errors{};  ///< by ErrorCode
  std::atomic<std::int64_t> last_ms{0};   ///< of the last answer, since 1970

  void fail(ErrorCode code) noexcept { errors[static_cast<std::size_t>(code)].fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t failed() const noexcept {
    std::uint64_t all = 0;
    for (const auto& one : errors) all += one.load(std::memory_order_relaxed);
    return all;
  }
};

/// The same of the texts that it wrote. Thread-safe.
struct TextCounters {
  SecondsHistogram first_token{kTextSeconds};  ///< from a prompt's arrival
  SecondsHistogram total{kTextSeconds};        ///< from its arrival to the end of its texts, where they came to it by themselves
  std::atomic<std::uint64_t> prompt_tokens{0};     ///< of prompts that were read to their end
  std::atomic<std::uint64_t> generated_tokens{0};  ///< of texts that have ended, in whatever way
};

}  // namespace portfire::serving
