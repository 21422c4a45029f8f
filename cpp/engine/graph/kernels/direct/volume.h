#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <mutex>
#include <vector>

#include "engine/graph/kernels/direct/layer.h"

namespace portfire::graph::direct {

/// A convolution in three dimensions without groups, float32 on the CPU. Packs its weight at the first call. Thread-safe.
class VolumeLayer {
 public:
  /// `weight` [O, I, k, k, k]; `bias` [O] or undefined.
  VolumeLayer(at::Tensor weight, at::Tensor bias);

  /// [N, I, D, H, W] of any strides -> `sizes`, [N, O, depth, height, width], channels-last; three numbers each, depth first.
  /// `other`, where defined, has the result's shape and is added before the bounds.
  at::Tensor convolution(const at::Tensor& x, const at::Tensor& other, const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& stride,
                         const std::vector<std::int64_t>& padding, const std::vector<std::int64_t>& dilation, Bounds bounds) const;

 private:
  void pack() const;

  at::Tensor weight_, bias_;
  mutable std::once_flag packed_once_;
  mutable at::Tensor packed_weight_, packed_bias_;  ///< as Product has them
};

}  // namespace portfire::graph::direct
