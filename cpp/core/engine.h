#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include <portfire/model.h>
#include <portfire/tensor.h>

namespace portfire {

/// What executes tensors. Immutable and thread-safe once made; factories return it ready to run.
class Engine {
 public:
  virtual ~Engine() = default;
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Runs a method. Inputs may lie on any device and are moved; outputs lie on the engine's device, and
  /// nested outputs come flattened in order. Throws kInvalidInput where the graph refuses its inputs.
  virtual std::vector<NamedTensor> call(const std::string& method, std::span<const Tensor> inputs) const = 0;
  /// `forward` without names: the hot path.
  virtual std::vector<Tensor> forward(std::span<const Tensor> inputs) const = 0;

  /// `forward` that may write to its inputs: what it leaves in them is the caller's to keep. They lie on the engine's
  /// device. Throws kUnsupported where the engine cannot.
  virtual std::vector<Tensor> forward_in_place(std::span<const Tensor> inputs) const = 0;

  /// Equal shapes and dtypes on a new first axis, and back.
  virtual Tensor stack(std::span<const Tensor> samples) const = 0;
  virtual Tensor to_cpu(const Tensor& tensor) const = 0;
  /// A uint8 [H, W, 3] picture to float32 [1, C, H, W].
  virtual Tensor image_tensor(const Tensor& image, const ImageTensorOptions& options) const = 0;

  virtual bool has_method(const std::string& method) const = 0;
};

}  // namespace portfire
