#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <mutex>
#include <vector>

#include "engine/graph/kernels/direct/direct.h"

namespace portfire::graph::direct {

/// The tensor as its memory has it: LibTorch negates lazily.
inline at::Tensor resolved(const at::Tensor& x) { return x.is_neg() ? x.resolve_neg() : x; }

/// What a layer's result is held within; relu is [0, inf].
struct Bounds {
  float low;
  float high;
};
inline constexpr Bounds kUnbounded{-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity()};

/// A convolution in two dimensions without groups, float32 on the CPU. Packs its weight at the first call. Thread-safe.
class Layer {
 public:
  /// `weight` [O, I, k, k]; `bias` [O] or undefined.
  Layer(at::Tensor weight, at::Tensor bias);

  /// [N, I, H, W] of any strides -> [N, O, height, width], channels-last; two numbers each, rows first. `other`, where defined,
  /// has the result's shape and is added before the bounds.
  at::Tensor convolution(const at::Tensor& x, const at::Tensor& other, const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& stride,
                         const std::vector<std::int64_t>& padding, const std::vector<std::int64_t>& dilation, Bounds bounds) const;

 private:
  void pack() const;

  at::Tensor weight_, bias_;
  std::int64_t outputs_, inputs_, high_, wide_;
  mutable std::once_flag packed_once_;
  mutable at::Tensor packed_weight_, packed_bias_;  ///< as Product has them
};

/// A convolution in two dimensions with as many groups as channels; `weight` float32 [C, 1, k, k], `bias` [C] or undefined.
class DepthwiseLayer {
 public:
  DepthwiseLayer(const at::Tensor& weight, const at::Tensor& bias);

  /// True where there are channels enough for a vector.
  static bool takes(std::int64_t channels);

  /// As Layer::convolution.
  at::Tensor convolution(const at::Tensor& x, const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& stride,
                         const std::vector<std::int64_t>& padding, const std::vector<std::int64_t>& dilation, Bounds bounds) const;

 private:
  at::Tensor weight_, bias_;
  std::int64_t high_, wide_;
};

/// The weight of an LSTM's state, float32 [4 hidden, hidden], one for each direction: forward, and backward where there
/// are two.
class Recurrence {
 public:
  explicit Recurrence(const std::vector<at::Tensor>& weights);

  /// `inputs` [T, B, 4 hidden] for each direction; `h` and `c` [directions, B, hidden], of which `c` is written to and is
  /// the last cell afterwards. Gives [T, B, directions hidden].
  at::Tensor run(const std::vector<at::Tensor>& inputs, const at::Tensor& h, const at::Tensor& c) const;

 private:
  std::int64_t hidden_;
  std::vector<at::Tensor> packed_;
  at::Tensor zeros_;
};

/// In place: float32 on the CPU, of any layout without gaps.
void activate(const at::Tensor& y, Activation activation);

/// scale x + shift for each channel of [N, C, H, W], float32 and channels-last on the CPU; [C] both.
at::Tensor affine(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift, Bounds bounds);

/// The arguments of `aten::max_pool2d`, two numbers each, or of `aten::max_pool3d`, three.
struct Window {
  std::vector<std::int64_t> size, stride, padding, dilation;
};

/// [N, C, H, W] or [N, C, D, H, W] channels-last float32 on the CPU -> the same; the window is one that LibTorch's operator
/// takes, without dilation and without a rest at the end.
at::Tensor max_pool(const at::Tensor& x, const Window& window);

}  // namespace portfire::graph::direct
