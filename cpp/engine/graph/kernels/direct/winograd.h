#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <mutex>
#include <vector>

#include "engine/graph/kernels/direct/layer.h"

namespace portfire::graph::direct {

/// A convolution of 3 x 3 in steps of 1 without groups, float32 on the CPU (see Winograd). Packs its weight, which becomes 16/9
/// as large, at the first call. Thread-safe.
class WinogradLayer {
 public:
  /// `weight` [O, I, 3, 3]; `bias` [O] or undefined.
  WinogradLayer(at::Tensor weight, at::Tensor bias);

  /// True where it is faster than to multiply directly: for whole vectors of channels, and enough of them.
  static bool takes(std::int64_t inputs, std::int64_t outputs);

  /// As Layer::convolution.
  at::Tensor convolution(const at::Tensor& x, const at::Tensor& other, const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& padding,
                         Bounds bounds) const;

 private:
  void pack() const;

  at::Tensor weight_, bias_;
  mutable std::once_flag packed_once_;
  mutable at::Tensor packed_weight_, packed_bias_;  ///< [16, panels, I, width], [O]
};

}  // namespace portfire::graph::direct
