#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <portfire/manifest.h>
#include <portfire/model.h>

#include "core/engine.h"
#include "tasks/task.h"

namespace portfire {

/// What comes of one of many calls of `forward`.
using TensorOutcome = std::variant<std::vector<NamedTensor>, Error>;

/// Gives what `preprocess` would give for one input, when its turn has come. Throws Error.
using SampleMaker = std::function<std::vector<Tensor>()>;

/// How long each part of a call took.
struct StageTimes {
  std::chrono::nanoseconds preprocess{};  ///< with decoding
  std::chrono::nanoseconds forward{};
  std::chrono::nanoseconds postprocess{};
};

/// Is shown what becomes of one of many inputs before `forward` is called: what `preprocess` takes and gives, on the engine's
/// device; of a task without stages nothing and what `forward` takes; of one that loops the tokens and nothing. Is called on the
/// caller's thread; must not throw.
using Look = std::function<void(std::size_t input, std::span<const Tensor> decoded, std::span<const Tensor> sample)>;

/// From raw inputs to answers through an engine: decode, preprocess, batched forward, postprocess. Only
/// refers to what it is given. Immutable and thread-safe.
class Pipeline {
 public:
  /// `forward_inputs` and `forward_outputs` are names in the signature's order.
  /// `signature` is what `forward` takes; null where nothing says so.
  Pipeline(const Engine& engine, const Task& task, const Manifest* manifest, const MethodSpec* signature,
           std::vector<std::string> forward_inputs, std::string name);

  /// `times`, where it is given, gets what each stage took; of a task that loops, all of it is `forward`.
  std::vector<Outcome> run_each(std::span<const Input> inputs, const RunOptions& options, StageTimes* times = nullptr, const Look& look = {}) const;

  /// `preprocess` of one input, on the engine's device. Throws kInvalidInput.
  std::vector<Tensor> prepare(const Input& input) const;
  /// `run_each` from there on, of a task that has stages.
  std::vector<Outcome> run_samples(std::span<const SampleMaker> makers, const RunOptions& options, StageTimes* times = nullptr) const;

  /// `forward`, checked against the signature.
  std::vector<Tensor> forward(std::span<const Tensor> inputs) const;
  std::vector<NamedTensor> forward_named(const std::vector<NamedTensor>& inputs) const;
  /// The same for many, in one call of `forward` where the signature says that every input and output has the samples on
  /// its first axis and all other sizes agree, else one by one. Outcome k belongs to call k and is what it gets alone, within
  /// the package's tolerance.
  std::vector<TensorOutcome> forward_each(std::span<const std::vector<NamedTensor>> calls, StageTimes* times = nullptr) const;

  /// One raw input through every stage, keeping each stage's outputs under "<method>/<output name>".
  std::vector<NamedTensor> trace(const Input& input) const;

 private:
  using Sample = std::vector<Tensor>;  ///< what preprocess gave for one input

  std::size_t max_batch() const;
  std::vector<NamedTensor> method(const std::string& name, std::span<const Tensor> inputs) const;
  /// Samples that may share a batch (tasks/padding.h) through one forward; rows of its outputs, one list for each sample.
  std::vector<Sample> forward_batch(std::span<const Sample* const> samples) const;
  Answer finish(const Sample& outputs, const RunOptions& options) const;
  /// At most `max_batch` inputs, of which the first is number `begin`.
  void run_chunk(std::span<const Input> inputs, std::size_t begin, std::span<std::optional<Outcome>> outcomes, const RunOptions& options,
                 StageTimes& times, const Look& look) const;
  /// `task_.decode` and `preprocess` of input `number`.
  Sample prepare(const Input& input, std::size_t number, const Look& look) const;
  /// Those without an outcome yet, those that may in one batch.
  void run_groups(std::span<const std::optional<Sample>> samples, std::span<std::optional<Outcome>> outcomes, const RunOptions& options,
                  StageTimes& times) const;
  void run_group(std::span<const std::size_t> members, std::span<const std::optional<Sample>> samples,
                 std::span<std::optional<Outcome>> outcomes, const RunOptions& options, StageTimes& times) const;
  Answer run_tensors(const Input& input, std::size_t number, const RunOptions& options, const Look& look) const;

  /// Calls `group`, each checked and in order, in one `forward`.
  std::vector<TensorOutcome> forward_joined(std::span<const std::vector<Tensor>* const> group) const;

  const Engine& engine_;
  const Task& task_;
  const Manifest* manifest_;
  const MethodSpec* forward_spec_;
  std::vector<std::string> forward_inputs_;
  std::string name_;
  bool joins_;  ///< `forward` has the samples on every first axis
};

}  // namespace portfire
