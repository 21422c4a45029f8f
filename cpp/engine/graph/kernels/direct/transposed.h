#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <mutex>
#include <vector>

#include "engine/graph/kernels/direct/layer.h"

namespace portfire::graph::direct {

/// A transposed convolution in two dimensions without groups and dilation, float32 on the CPU. Its values in one of
/// stride x stride phases are a convolution of the input with every stride-th tap of the kernel. Packs its weight at the first
/// call. Thread-safe.
class TransposedLayer {
 public:
  /// `weight` [I, O, k, k]; `bias` [O] or undefined; `padding` as `aten::convolution` has it: what is cut off.
  TransposedLayer(at::Tensor weight, at::Tensor bias, std::vector<std::int64_t> stride, std::vector<std::int64_t> padding);

  /// [N, I, H, W] of any strides -> `sizes`, [N, O, height, width], channels-last.
  at::Tensor convolution(const at::Tensor& x, const std::vector<std::int64_t>& sizes, Bounds bounds) const;

  /// True where every phase has a tap of the kernel, and no more than a few.
  static bool takes(const at::Tensor& weight, const std::vector<std::int64_t>& stride);

 private:
  void pack() const;

  at::Tensor weight_, bias_;
  std::vector<std::int64_t> stride_, padding_;
  mutable std::once_flag packed_once_;
  mutable std::vector<at::Tensor> packed_weights_;  ///< of each phase, as Product has them
  mutable at::Tensor packed_bias_;
};

}  // namespace portfire::graph::direct
