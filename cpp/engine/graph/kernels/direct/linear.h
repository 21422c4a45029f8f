#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "engine/graph/kernels/direct/layer.h"

namespace portfire::graph::direct {

/// A linear layer's weight as Linear has it. Copies share the memory.
struct LinearWeight {
  Kept kept = Kept::kFloat32;
  std::int64_t outputs = 0, inputs = 0;
  at::Tensor words;  ///< [panels, words, width], float32 or int32
  at::Tensor scale;  ///< of kInt8, else undefined
  at::Tensor sums;   ///< int32, as LinearOfBytes has them; defined where the inputs are to be bytes
};

/// `weight` float32 [O, I]. In int8 the largest value of each output becomes 127 or -127, and the others what is nearest; where the
/// processor multiplies bytes, rows that meet it are rounded to bytes.
LinearWeight packed_linear_weight(const at::Tensor& weight, Kept kept);

/// x [..., I] float32 on the CPU -> [..., O]; `bias` as `packed_bias` gives it; `other`, where defined, has the result's shape
/// and is added before the bounds.
at::Tensor linear(const at::Tensor& x, const LinearWeight& weight, const at::Tensor& bias, const at::Tensor& other, Bounds bounds);

/// Rows `ids` of the weight, int64 or int32 of any shape: [..., I], in the numbers that `linear` computes with.
at::Tensor embedding(const LinearWeight& weight, const at::Tensor& ids);

}  // namespace portfire::graph::direct
