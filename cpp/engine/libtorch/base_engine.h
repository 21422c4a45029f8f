#pragma once

#include <c10/core/InferenceMode.h>

#include <optional>
#include <string>

#include "core/engine.h"
#include "engine/libtorch/kept_memory.h"
#include "engine/libtorch/quiet.h"

namespace portfire::libtorch {

/// OpenMP keeps its number of threads for each calling thread.
void use_threads(int threads);

/// What every call into LibTorch runs within.
class CallScope {
 public:
  explicit CallScope(int threads) { use_threads(threads); }
  /// A model's call, whose large tensors come from what the model keeps.
  CallScope(int threads, const KeptMemory& memory) : CallScope(threads) { memory_.emplace(memory); }

 private:
  std::optional<KeptMemory::Scope> memory_;
  Quiet quiet_;
  c10::InferenceMode inference_;
};

/// What every engine on LibTorch does alike, whatever it runs.
class BaseEngine : public Engine {
 public:
  /// `name` is what errors call the model.
  BaseEngine(std::string name, Device device, int threads)
      : name_(std::move(name)), context_(name_ + ": forward"), device_(device), threads_(threads) {}

  Tensor stack(std::span<const Tensor> samples) const override;
  Tensor to_cpu(const Tensor& tensor) const override;
  Tensor image_tensor(const Tensor& image, const ImageTensorOptions& options) const override;

 protected:
  /// Throws kUnsupported unless all lie on the engine's device.
  void require_here(std::span<const Tensor> inputs) const;

  const std::string& name() const { return name_; }
  const std::string& context() const { return context_; }  ///< of an error in `forward`
  Device device() const { return device_; }
  int threads() const { return threads_; }
  const KeptMemory& memory() const { return memory_; }

 private:
  std::string name_;
  std::string context_;
  Device device_;
  int threads_;
  KeptMemory memory_;
};

/// Throws kUnsupported for a device that does not answer.
void require_device(Device device);

}  // namespace portfire::libtorch
