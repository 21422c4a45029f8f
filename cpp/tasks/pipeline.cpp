#include "tasks/pipeline.h"

#include <algorithm>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"
#include "tasks/check.h"
#include "tasks/joining.h"
#include "tasks/padding.h"

namespace portfire {
namespace {

std::vector<Tensor> tensors_of(std::vector<NamedTensor> named) {
  std::vector<Tensor> out;
  out.reserve(named.size());
  for (NamedTensor& one : named) out.push_back(std::move(one.tensor));
  return out;
}

/// An engine's own output names give way to the manifest's.
void rename(std::vector<NamedTensor>& outputs, const MethodSpec* spec, const std::string& model) {
  if (spec == nullptr) return;
  if (outputs.size() != spec->outputs.size()) {
    throw Error(ErrorCode::kInvalidPackage, cat(model, ": ", spec->name, " gave ", outputs.size(), " outputs; its manifest names ",
                                                spec->outputs.size()));
  }
  for (std::size_t k = 0; k < outputs.size(); ++k) outputs[k].name = spec->outputs[k].name;
}

std::vector<Outcome> whole(std::vector<std::optional<Outcome>> outcomes) {
  std::vector<Outcome> all;
  all.reserve(outcomes.size());
  for (std::optional<Outcome>& outcome : outcomes) all.push_back(std::move(*outcome));
  return all;
}

class Stopwatch {
 public:
  explicit Stopwatch(std::chrono::nanoseconds& total) : total_(total) {}
  ~Stopwatch() { total_ += std::chrono::steady_clock::now() - start_; }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  std::chrono::nanoseconds& total_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

Pipeline::Pipeline(const Engine& engine, const Task& task, const Manifest* manifest, const MethodSpec* signature,
                   std::vector<std::string> forward_inputs, std::string name)
    : engine_(engine),
      task_(task),
      manifest_(manifest),
      forward_spec_(signature),
      forward_inputs_(std::move(forward_inputs)),
      name_(std::move(name)),
      joins_(joins(signature)) {}

std::vector<NamedTensor> Pipeline::method(const std::string& name, std::span<const Tensor> inputs) const {
  std::vector<NamedTensor> outputs = engine_.call(name, inputs);
  rename(outputs, manifest_ == nullptr ? nullptr : manifest_->method(name), name_);
  return outputs;
}

std::vector<Tensor> Pipeline::forward(std::span<const Tensor> inputs) const {
  if (forward_spec_ != nullptr) check_inputs(*forward_spec_, inputs, name_);
  return engine_.forward(inputs);
}

std::vector<NamedTensor> Pipeline::forward_named(const std::vector<NamedTensor>& inputs) const {
  const std::vector<Tensor> ordered = in_order(forward_inputs_, inputs, name_);
  if (forward_spec_ != nullptr) check_inputs(*forward_spec_, ordered, name_);
  return method("forward", ordered);
}

std::vector<TensorOutcome> Pipeline::forward_each(std::span<const std::vector<NamedTensor>> calls, StageTimes* times) const {
  StageTimes unasked;
  const Stopwatch watch((times == nullptr ? unasked : *times).forward);
  std::vector<std::optional<TensorOutcome>> outcomes(calls.size());
  std::vector<std::vector<Tensor>> ordered(calls.size());
  for (std::size_t k = 0; k < calls.size(); ++k) {
    try {
      ordered[k] = in_order(forward_inputs_, calls[k], name_);
      if (forward_spec_ != nullptr) check_inputs(*forward_spec_, ordered[k], name_);
    } catch (const Error& error) {
      outcomes[k] = error;
    }
  }
  for (std::size_t k = 0; k < calls.size(); ++k) {
    if (outcomes[k]) continue;
    std::vector<std::size_t> members{k};
    for (std::size_t other = k + 1; joins_ && other < calls.size(); ++other) {
      if (!outcomes[other] && may_be_joined(ordered[k], ordered[other])) members.push_back(other);
    }
    std::vector<const std::vector<Tensor>*> group;
    for (const std::size_t member : members) group.push_back(&ordered[member]);
    std::vector<TensorOutcome> done = forward_joined(group);
    for (std::size_t row = 0; row < members.size(); ++row) outcomes[members[row]] = std::move(done[row]);
  }
  std::vector<TensorOutcome> all;
  all.reserve(outcomes.size());
  for (auto& outcome : outcomes) all.push_back(std::move(*outcome));
  return all;
}

std::vector<TensorOutcome> Pipeline::forward_joined(std::span<const std::vector<Tensor>* const> group) const {
  try {
    if (group.size() == 1) return {method("forward", *group[0])};
    std::vector<Tensor> batch;
    for (std::size_t k = 0; k < group[0]->size(); ++k) {
      std::vector<Tensor> column;
      for (const auto* call : group) column.push_back((*call)[k]);
      batch.push_back(joined(column));
    }
    const std::vector<NamedTensor> outputs = method("forward", batch);
    std::vector<TensorOutcome> outcomes;
    std::int64_t first = 0;
    for (const auto* call : group) {
      const std::int64_t samples = call->front().shape()[0];
      std::vector<NamedTensor> own;
      for (const NamedTensor& output : outputs) {
        if (output.tensor.rank() == 0 || output.tensor.shape()[0] != batch.front().shape()[0]) {
          throw Error(ErrorCode::kInvalidPackage, cat(name_, ": forward gave ", output.tensor.to_string(0), " for ", batch.front().shape()[0],
                                                      " samples; its manifest says that they are on its first axis"));
        }
        own.push_back({output.name, output.tensor.rows(first, samples)});
      }
      first += samples;
      outcomes.emplace_back(std::move(own));
    }
    return outcomes;
  } catch (const Error& error) {
    if (group.size() == 1) return {error};
    // One may have spoilt the call for all: find out which.
    std::vector<TensorOutcome> outcomes;
    for (const auto& one : group) outcomes.push_back(std::move(forward_joined({&one, 1}).front()));
    return outcomes;
  }
}

std::size_t Pipeline::max_batch() const {
  return static_cast<std::size_t>(manifest_ == nullptr ? 1 : std::max<std::int64_t>(manifest_->max_batch, 1));
}

Pipeline::Sample Pipeline::prepare(const Input& input) const { return prepare(input, 0, {}); }

Pipeline::Sample Pipeline::prepare(const Input& input, std::size_t number, const Look& look) const {
  const std::vector<Tensor> decoded = tensors_of(task_.decode(input));
  Sample sample = tensors_of(method("preprocess", decoded));
  if (look) look(number, decoded, sample);
  return sample;
}

std::vector<Pipeline::Sample> Pipeline::forward_batch(std::span<const Sample* const> samples) const {
  std::vector<Tensor> batch;
  for (std::size_t k = 0; k < samples[0]->size(); ++k) {
    std::vector<Tensor> column;
    for (const Sample* sample : samples) column.push_back((*sample)[k]);
    const TensorSpec* spec = forward_spec_ != nullptr && k < forward_spec_->inputs.size() ? &forward_spec_->inputs[k] : nullptr;
    if (spec != nullptr && spec->padding) fill_up(column, *spec->padding, engine_);
    batch.push_back(engine_.stack(column));
  }
  const std::vector<Tensor> outputs = engine_.forward(batch);
  std::vector<Sample> rows(samples.size());
  for (const Tensor& output : outputs) {
    if (output.rank() == 0 || output.shape()[0] != static_cast<std::int64_t>(samples.size())) {
      throw Error(ErrorCode::kInvalidPackage, cat(name_, ": forward gave ", output.to_string(0), " for a batch of ",
                                                  samples.size(), "; its first axis must be the batch"));
    }
    for (std::size_t k = 0; k < rows.size(); ++k) rows[k].push_back(output.row(static_cast<std::int64_t>(k)));
  }
  return rows;
}

Answer Pipeline::finish(const Sample& outputs, const RunOptions& options) const {
  std::vector<NamedTensor> last = method("postprocess", outputs);
  for (NamedTensor& one : last) one.tensor = engine_.to_cpu(one.tensor);
  return task_.answer(std::move(last), options);
}

Answer Pipeline::run_tensors(const Input& input, std::size_t number, const RunOptions& options, const Look& look) const {
  const std::vector<Tensor> ordered = in_order(forward_inputs_, task_.decode(input), name_);
  if (forward_spec_ != nullptr) check_inputs(*forward_spec_, ordered, name_);
  if (look) look(number, {}, ordered);
  std::vector<NamedTensor> outputs = method("forward", ordered);
  for (NamedTensor& one : outputs) one.tensor = engine_.to_cpu(one.tensor);
  return task_.answer(std::move(outputs), options);
}

void Pipeline::run_group(std::span<const std::size_t> members, std::span<const std::optional<Sample>> samples,
                         std::span<std::optional<Outcome>> outcomes, const RunOptions& options, StageTimes& times) const {
  std::vector<Sample> rows;
  try {
    const Stopwatch watch(times.forward);
    std::vector<const Sample*> group;
    for (const std::size_t k : members) group.push_back(&*samples[k]);
    rows = forward_batch(group);
  } catch (const Error& error) {
    if (members.size() == 1) {
      outcomes[members[0]] = error;
      return;
    }
    // One sample may have spoilt the batch for all: find out which.
    for (const std::size_t& k : members) run_group({&k, 1}, samples, outcomes, options, times);
    return;
  }
  const Stopwatch watch(times.postprocess);
  for (std::size_t row = 0; row < members.size(); ++row) {
    try {
      outcomes[members[row]] = finish(rows[row], options);
    } catch (const Error& error) {
      outcomes[members[row]] = error;
    }
  }
}

void Pipeline::run_chunk(std::span<const Input> inputs, std::size_t begin, std::span<std::optional<Outcome>> outcomes, const RunOptions& options,
                         StageTimes& times, const Look& look) const {
  std::vector<std::optional<Sample>> samples(inputs.size());
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const Stopwatch watch(task_.staged() ? times.preprocess : times.forward);
    try {
      if (task_.staged()) {
        samples[k] = prepare(inputs[k], begin + k, look);
      } else {
        outcomes[k] = run_tensors(inputs[k], begin + k, options, look);
      }
    } catch (const Error& error) {
      outcomes[k] = error;
    }
  }
  run_groups(samples, outcomes, options, times);
}

void Pipeline::run_groups(std::span<const std::optional<Sample>> samples, std::span<std::optional<Outcome>> outcomes, const RunOptions& options,
                          StageTimes& times) const {
  for (std::size_t k = 0; k < samples.size(); ++k) {
    if (outcomes[k]) continue;
    std::vector<std::size_t> members;
    for (std::size_t other = k; other < samples.size(); ++other) {
      if (!outcomes[other] && may_share_batch(forward_spec_, *samples[other], *samples[k])) members.push_back(other);
    }
    run_group(members, samples, outcomes, options, times);
  }
}

std::vector<Outcome> Pipeline::run_each(std::span<const Input> inputs, const RunOptions& options, StageTimes* times, const Look& look) const {
  StageTimes unasked;
  if (times == nullptr) times = &unasked;
  if (task_.loops()) {
    const Stopwatch watch(times->forward);
    for (std::size_t k = 0; look && k < inputs.size(); ++k) {
      try {
        look(k, tensors_of(task_.decode(inputs[k])), {});
      } catch (const Error&) {  // the task says so
      }
    }
    return task_.run_each(engine_, inputs, options);
  }
  std::vector<std::optional<Outcome>> outcomes(inputs.size());
  const std::size_t most = max_batch();
  for (std::size_t begin = 0; begin < inputs.size(); begin += most) {
    const std::size_t count = std::min(most, inputs.size() - begin);
    run_chunk(inputs.subspan(begin, count), begin, std::span(outcomes).subspan(begin, count), options, *times, look);
  }
  return whole(std::move(outcomes));
}

std::vector<Outcome> Pipeline::run_samples(std::span<const SampleMaker> makers, const RunOptions& options, StageTimes* times) const {
  StageTimes unasked;
  if (times == nullptr) times = &unasked;
  std::vector<std::optional<Outcome>> outcomes(makers.size());
  const std::size_t most = max_batch();
  for (std::size_t begin = 0; begin < makers.size(); begin += most) {
    const std::size_t count = std::min(most, makers.size() - begin);
    std::vector<std::optional<Sample>> samples(count);
    for (std::size_t k = 0; k < count; ++k) {
      const Stopwatch watch(times->preprocess);
      try {
        samples[k] = makers[begin + k]();
      } catch (const Error& error) {
        outcomes[begin + k] = error;
      }
    }
    run_groups(samples, std::span(outcomes).subspan(begin, count), options, *times);
  }
  return whole(std::move(outcomes));
}

std::vector<NamedTensor> Pipeline::trace(const Input& input) const {
  if (task_.loops()) return task_.trace(engine_, input);
  std::vector<NamedTensor> all;
  const auto keep = [&](const std::string& stage, const std::vector<NamedTensor>& outputs) {
    for (const NamedTensor& output : outputs) all.push_back({cat(stage, "/", output.name), engine_.to_cpu(output.tensor)});
  };
  if (!task_.staged()) {
    keep("forward", forward_named(task_.decode(input)));
    return all;
  }
  const std::vector<NamedTensor> sample = method("preprocess", tensors_of(task_.decode(input)));
  keep("preprocess", sample);
  std::vector<Tensor> batch;
  for (const NamedTensor& one : sample) batch.push_back(engine_.stack({&one.tensor, 1}));
  const std::vector<NamedTensor> outputs = method("forward", batch);
  keep("forward", outputs);
  std::vector<Tensor> rows;
  for (const NamedTensor& one : outputs) rows.push_back(one.tensor.row(0));
  keep("postprocess", method("postprocess", rows));
  return all;
}

}  // namespace portfire
