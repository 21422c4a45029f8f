#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <portfire/answer.h>
#include <portfire/input.h>
#include <portfire/manifest.h>
#include <portfire/model.h>

#include "core/engine.h"

namespace portfire {

/// What a model does, from bytes to an answer: the part that is not in the graph. Immutable and
/// thread-safe; one file for each task.
class Task {
 public:
  virtual ~Task() = default;
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  /// The raw input as tensors: what `preprocess` takes, or `forward` where the task has no stages.
  /// Throws kInvalidInput, kNotFound, kIo.
  virtual std::vector<NamedTensor> decode(const Input& input) const = 0;

  /// True when the task goes through preprocess, a batched forward, and postprocess.
  virtual bool staged() const = 0;

  /// True when the task calls `forward` as often as it needs: `run_each` and `trace` are then all of it.
  virtual bool loops() const { return false; }
  /// Outcome k belongs to input k.
  virtual std::vector<Outcome> run_each(const Engine& engine, std::span<const Input> inputs, const RunOptions& options) const;
  /// What a golden sample holds of one raw input, under "<method>/<output name>".
  virtual std::vector<NamedTensor> trace(const Engine& engine, const Input& input) const;

  /// The last stage's outputs, on the CPU, as an answer.
  virtual Answer answer(std::vector<NamedTensor> outputs, const RunOptions& options) const = 0;
};

/// Gives the bytes of a packaged file, by its path in the manifest.
using AssetReader = std::function<std::vector<std::byte>(const std::string& path)>;

/// The task that the manifest names; without a manifest, "tensor". `asset` is asked before this returns; `max_pixels` 0
/// keeps the manifest's. Throws kUnsupported on a task that this runtime does not have, and kInvalidPackage where a
/// packaged file cannot be used.
std::unique_ptr<Task> make_task(const std::optional<Manifest>& manifest, const AssetReader& asset, std::int64_t max_pixels);

}  // namespace portfire
