#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include <portfire/answer.h>
#include <portfire/error.h>
#include <portfire/input.h>
#include <portfire/tensor.h>

#include "serving/call_cost.h"
#include "serving/counters.h"
#include "serving/crew.h"
#include "serving/drift.h"
#include "serving/loaded.h"

namespace portfire::serving {

/// What a job comes to: an answer, or the outputs of tensors.
using Result = std::variant<Answer, std::vector<NamedTensor>, Error>;

/// How long each part of a job took.
struct JobTimes {
  std::chrono::nanoseconds queue{};
  StageTimes stages;        ///< of the whole batch
  std::int64_t batch = 0;   ///< samples in it
};

/// One call of a model that waits for its turn.
struct Job {
  std::variant<std::vector<NamedTensor>, Input, SampleMaker> input{};  ///< what `forward` takes, a raw input, or what `preprocess` would give
  RunOptions options{};
  int priority = 0;                                          ///< a higher one is taken first
  Clock::time_point deadline = Clock::time_point::max();     ///< not begun after this
  std::function<void(Result, const JobTimes&)> done;         ///< called once, on any thread; must not throw
  Clock::time_point arrived{};                               ///< set by the batcher
  std::atomic<bool> cancelled = false;                       ///< not begun; `done` comes all the same
};

struct BatchingOptions {
  std::int64_t max_batch = 0;                 ///< samples in one `forward`; 0: the manifest's
  std::chrono::microseconds max_delay{0};     ///< how long the first of a batch waits for more
  std::int64_t max_waiting = 1024;            ///< jobs; more are refused
};

/// Calls of many clients, joined into batches where the model allows: what comes while a batch runs is the next one.
/// Tensors are joined on their first axis (`Pipeline::forward_each`), raw inputs as `Model::run` of many does. One that fails
/// spoils none of the others. Thread-safe.
class Batcher : public Work, public std::enable_shared_from_this<Batcher> {
 public:
  /// Runs on `crew`, which must outlive it.
  Batcher(Loaded model, const BatchingOptions& options, Crew& crew);

  /// Takes the job or throws kOverloaded where too many wait.
  void submit(std::shared_ptr<Job> job);
  [[nodiscard]] std::int64_t waiting() const;
  [[nodiscard]] std::int64_t max_batch() const noexcept { return max_batch_; }
  [[nodiscard]] Counters& counters() noexcept { return counters_; }
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
  /// Null where the package has no statistics of its inputs. What has an answer is counted.
  [[nodiscard]] const std::shared_ptr<Drift>& drift() const noexcept { return drift_; }

  Clock::time_point step(int processors) noexcept override;
  bool is_long() const noexcept override { return cost_.is_long(); }

 private:
  using Batch = std::vector<std::shared_ptr<Job>>;

  /// What runs next, in the order of priority and arrival; jobs of one kind that may share a call.
  Batch take(Clock::time_point now, int processors);
  /// Samples that one call may have: where the model runs on several threads side by side, a share of what waits, for a large
  /// batch on one processor would leave the others idle.
  [[nodiscard]] std::int64_t most_now(int processors) const;
  void run(const Batch& batch, Clock::time_point now);
  /// Each raw input, or each call of `forward`; fewer results where it throws.
  void run_inputs(const Batch& batch, std::vector<Result>& results, StageTimes& times);
  void run_tensors(const Batch& batch, std::vector<Result>& results, StageTimes& times);
  /// Counts the result and hands it over.
  void finish(Job& job, Result result, const JobTimes& times = {});
  [[nodiscard]] Clock::time_point next_start(Clock::time_point now) const;

  const Loaded model_;
  const BatchingOptions options_;
  const std::int64_t max_batch_;
  Crew& crew_;
  Counters counters_;
  const std::shared_ptr<Drift> drift_;
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<Job>> waiting_;
  int posted_ = 0;  ///< pieces of this batcher that the crew has, waiting or running
  CallCost cost_;
};

}  // namespace portfire::serving
