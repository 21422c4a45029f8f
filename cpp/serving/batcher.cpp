#include "serving/batcher.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "core/text.h"

namespace portfire::serving {
namespace {

std::int64_t samples_of(const Job& job) {
  const auto* tensors = std::get_if<std::vector<NamedTensor>>(&job.input);
  if (tensors == nullptr || tensors->empty() || tensors->front().tensor.rank() == 0) return 1;
  return tensors->front().tensor.shape()[0];
}

bool may_share(const Job& a, const Job& b) { return a.input.index() == b.input.index() && a.options.top_k == b.options.top_k; }

/// Clients read it: where the folder lies is not theirs to know, and a model without a manifest is called by its file.
Error without_folder(const Error& error, const std::string& path) {
  const std::size_t folder = path.rfind('/') + 1;
  std::string reason = error.what();
  const std::size_t at = folder == 0 ? std::string::npos : reason.find(path);
  return at == std::string::npos ? error : Error(error.code(), reason.erase(at, folder));
}

std::shared_ptr<Drift> drift_of(const Loaded& model) {
  if (model.statistics == nullptr) return nullptr;
  return std::make_shared<Drift>(*model.statistics, *model.info->manifest, *model.engine);
}

/// What cannot be measured, for want of memory say, is not counted: the answer does not depend on it.
void measure(const std::function<void()>& what) noexcept {
  try {
    what();
  } catch (const std::exception&) {
  }
}

Error late(const Job& job, Clock::time_point now) {
  const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(now - job.arrived).count();
  return {ErrorCode::kDeadlineExceeded, cat("waited ", waited, " ms, past the time that the caller gave; nothing was computed")};
}

}  // namespace

Batcher::Batcher(Loaded model, const BatchingOptions& options, Crew& crew)
    : model_(std::move(model)), options_(options),
      max_batch_(std::max<std::int64_t>(1, options.max_batch > 0 ? options.max_batch
                                                                 : (model_.info->manifest ? model_.info->manifest->max_batch : 1))),
      crew_(crew), drift_(drift_of(model_)) {}

void Batcher::submit(std::shared_ptr<Job> job) {
  job->arrived = Clock::now();
  Clock::time_point start;
  {
    const std::lock_guard lock(mutex_);
    if (static_cast<std::int64_t>(waiting_.size()) >= options_.max_waiting) {
      throw Error(ErrorCode::kOverloaded, cat(waiting_.size(), " calls of this model wait already, of ", options_.max_waiting, " that may; come again later"));
    }
    const auto after = std::find_if(waiting_.rbegin(), waiting_.rend(), [&](const auto& other) { return other->priority >= job->priority; });
    waiting_.insert(after.base(), std::move(job));
    const auto waiting = static_cast<std::int64_t>(waiting_.size());
    const bool may_join = posted_ < (is_long() || cost_.is_much(waiting) ? crew_.processors() : 1);
    const bool just_full = waiting == max_batch_ && options_.max_delay.count() > 0 && posted_ <= crew_.processors();
    if (!may_join && !just_full) return;
    ++posted_;
    start = next_start(Clock::now());
  }
  crew_.post(shared_from_this(), start);
}

std::int64_t Batcher::waiting() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::int64_t>(waiting_.size());
}

Clock::time_point Batcher::next_start(Clock::time_point now) const {
  if (options_.max_delay.count() == 0 || static_cast<std::int64_t>(waiting_.size()) >= max_batch_) return now;
  return waiting_.front()->arrived + options_.max_delay;
}

std::int64_t Batcher::most_now(int processors) const {
  if (processors > 1 || posted_ < 2 || options_.max_delay.count() > 0) return max_batch_;  // a delay asks for large batches
  const auto waiting = std::transform_reduce(waiting_.begin(), waiting_.end(), std::int64_t{0}, std::plus<>(), [](const auto& job) { return samples_of(*job); });
  return std::clamp<std::int64_t>((waiting + posted_ - 1) / posted_, 1, max_batch_);
}

Batcher::Batch Batcher::take(Clock::time_point now, int processors) {
  Batch batch;
  Batch dropped;
  {
    const std::lock_guard lock(mutex_);
    const std::int64_t most = most_now(processors);
    std::int64_t samples = 0;
    for (auto at = waiting_.begin(); at != waiting_.end();) {
      Job& job = **at;
      if (job.cancelled.load(std::memory_order_relaxed) || job.deadline < now) {
        dropped.push_back(std::move(*at));
        at = waiting_.erase(at);
        continue;
      }
      const std::int64_t more = samples_of(job);
      if (!batch.empty() && (samples + more > most || !may_share(*batch.front(), job))) break;
      samples += more;
      batch.push_back(std::move(*at));
      at = waiting_.erase(at);
    }
  }
  for (const auto& job : dropped) {
    finish(*job, job->cancelled ? Error(ErrorCode::kCancelled, "the caller went away") : late(*job, now));
  }
  return batch;
}

void Batcher::run(const Batch& batch, Clock::time_point now) {
  std::vector<Result> results;
  JobTimes times;
  for (const auto& job : batch) times.batch += samples_of(*job);
  try {
    if (std::holds_alternative<SampleMaker>(batch.front()->input)) {
      std::vector<SampleMaker> samples;
      for (const auto& job : batch) samples.push_back(std::move(std::get<SampleMaker>(job->input)));
      for (Outcome& outcome : model_.pipeline->run_samples(samples, batch.front()->options, &times.stages)) {
        results.push_back(std::visit([](auto& one) { return Result(std::move(one)); }, outcome));
      }
    } else if (std::holds_alternative<Input>(batch.front()->input)) {
      run_inputs(batch, results, times.stages);
    } else {
      run_tensors(batch, results, times.stages);
    }
  } catch (const Error& error) {
    results.assign(batch.size(), error);
  } catch (const std::exception& error) {
    results.assign(batch.size(), Error(ErrorCode::kInternal, error.what()));
  }
  counters_.batch.observe(static_cast<double>(times.batch));
  counters_.samples.fetch_add(static_cast<std::uint64_t>(times.batch), std::memory_order_relaxed);
  counters_.preprocess.observe(seconds(times.stages.preprocess));
  counters_.forward.observe(seconds(times.stages.forward));
  counters_.postprocess.observe(seconds(times.stages.postprocess));
  for (std::size_t k = 0; k < batch.size(); ++k) {
    times.queue = now - batch[k]->arrived;
    finish(*batch[k], std::move(results[k]), times);
  }
}

void Batcher::run_inputs(const Batch& batch, std::vector<Result>& results, StageTimes& times) {
  std::vector<Input> inputs;
  for (const auto& job : batch) inputs.push_back(std::move(std::get<Input>(job->input)));
  std::vector<Drift::Values> seen(drift_ ? inputs.size() : 0);
  Look look;
  if (drift_) {
    look = [&](std::size_t k, std::span<const Tensor> decoded, std::span<const Tensor> sample) {
      measure([&] { seen[k] = decoded.empty() ? drift_->of_batch(sample) : drift_->of_sample(decoded, sample); });
    };
  }
  for (Outcome& outcome : model_.pipeline->run_each(inputs, batch.front()->options, &times, look)) {
    results.push_back(std::visit([](auto& one) { return Result(std::move(one)); }, outcome));
  }
  for (std::size_t k = 0; k < seen.size(); ++k) {
    const Answer* answer = std::get_if<Answer>(&results[k]);
    if (answer == nullptr) continue;
    if (const auto* classes = std::get_if<Classification>(&answer->value)) drift_->set_answer(seen[k], classes->top.front().index);
    if (const auto* tensors = std::get_if<TensorAnswer>(&answer->value); tensors != nullptr && !tensors->outputs.empty()) {
      measure([&] { drift_->set_answers(seen[k], tensors->outputs.front().tensor); });
    }
    drift_->count(seen[k]);
  }
}

void Batcher::run_tensors(const Batch& batch, std::vector<Result>& results, StageTimes& times) {
  std::vector<std::vector<NamedTensor>> calls;
  for (const auto& job : batch) calls.push_back(std::move(std::get<std::vector<NamedTensor>>(job->input)));
  for (TensorOutcome& outcome : model_.pipeline->forward_each(calls, &times)) {
    results.push_back(std::visit([](auto& one) { return Result(std::move(one)); }, outcome));
  }
  for (std::size_t k = 0; drift_ && k < calls.size(); ++k) {
    const auto* outputs = std::get_if<std::vector<NamedTensor>>(&results[k]);
    if (outputs == nullptr) continue;
    measure([&] {
      Drift::Values seen = drift_->of_batch(drift_->in_order(calls[k]));
      if (!outputs->empty()) drift_->set_answers(seen, outputs->front().tensor);
      drift_->count(seen);
    });
  }
}

void Batcher::finish(Job& job, Result result, const JobTimes& times) {
  if (Error* error = std::get_if<Error>(&result)) {
    counters_.fail(error->code());
    *error = without_folder(*error, model_.info->path);
  } else {
    const auto now = Clock::now();
    counters_.total.observe(seconds(now - job.arrived));
    counters_.queue.observe(seconds(times.queue));
    counters_.last_ms.store(std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(),
                            std::memory_order_relaxed);
  }
  std::exchange(job.done, nullptr)(std::move(result), times);
}

Clock::time_point Batcher::step(int processors) noexcept {
  const Clock::time_point now = Clock::now();
  const Batch batch = take(now, processors);
  if (!batch.empty()) {
    const std::chrono::nanoseconds before = thread_time();
    run(batch, now);
    cost_.add(thread_time() - before, static_cast<std::int64_t>(batch.size()), processors);
  }
  const std::lock_guard lock(mutex_);
  if (!waiting_.empty()) return next_start(Clock::now());
  --posted_;
  return Clock::time_point::max();
}

}  // namespace portfire::serving
