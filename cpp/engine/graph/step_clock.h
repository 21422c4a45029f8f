#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <portfire/bench.h>

namespace c10 {
struct IValue;
}

namespace portfire::graph {

struct Block;

/// While it lives, it times the steps of the programs that its thread runs: of one program only, which it sees first.
/// Steps within steps (of a branch, of a loop) count for the outer one.
class StepClock {
 public:
  StepClock();
  ~StepClock();
  StepClock(const StepClock&) = delete;
  StepClock& operator=(const StepClock&) = delete;

  /// The mean over the calls, in the program's order; empty where no such program ran.
  [[nodiscard]] std::vector<StepTime> times() const;

  /// This thread's, for as long as a block runs: there is none within. Null where there is none.
  class Turn {
   public:
    explicit Turn(const Block& block);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    [[nodiscard]] bool counts() const noexcept { return clock_ != nullptr; }
    void begin() { start_ = std::chrono::steady_clock::now(); }
    /// `result` is what the step gave first.
    void end(std::size_t step, const c10::IValue& result);

   private:
    StepClock* clock_;
    StepClock* before_;
    std::chrono::steady_clock::time_point start_;
  };

 private:
  const Block* block_ = nullptr;
  std::vector<StepTime> sums_;
  std::int64_t calls_ = 0;
};

}  // namespace portfire::graph
