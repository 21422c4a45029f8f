#include "engine/graph/step_clock.h"

#include <utility>

#include "engine/graph/plan.h"
#include "engine/graph/plan_text.h"

namespace portfire::graph {
namespace {

thread_local StepClock* current = nullptr;

}  // namespace

StepClock::StepClock() { current = this; }

StepClock::~StepClock() { current = nullptr; }

std::vector<StepTime> StepClock::times() const {
  std::vector<StepTime> means = sums_;
  for (StepTime& step : means) step.us /= static_cast<double>(calls_);
  return means;
}

StepClock::Turn::Turn(const Block& block) : clock_(std::exchange(current, nullptr)), before_(clock_) {
  if (clock_ == nullptr) return;
  if (clock_->block_ == nullptr) {
    clock_->block_ = &block;
    for (const Step& step : block.steps) clock_->sums_.push_back({.name = step.name, .operation = step.op.name, .result = {}, .us = 0});
  }
  if (clock_->block_ == &block) {
    ++clock_->calls_;
  } else {
    clock_ = nullptr;
  }
}

StepClock::Turn::~Turn() { current = before_; }

void StepClock::Turn::end(std::size_t step, const c10::IValue& result) {
  StepTime& sum = clock_->sums_[step];
  sum.us += std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start_).count();
  if (sum.result.empty() && result.isTensor()) sum.result = value_text(result);
}

}  // namespace portfire::graph
