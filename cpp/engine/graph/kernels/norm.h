#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "engine/graph/kernel.h"

namespace portfire::graph {

/// `aten::layer_norm` over the last axis (Ba, Kiros and Hinton, 2016), or `aten::rms_norm` (Zhang and Sennrich, 2019), which
/// leaves the mean and has no bias. `weight` and `bias` are float32 [C], or undefined. Takes the input; other than float32 in
/// one piece on the CPU goes to LibTorch's operators.
std::shared_ptr<const Kernel> norm(const at::Tensor& weight, const at::Tensor& bias, std::int64_t size, double epsilon, bool is_rms);

}  // namespace portfire::graph
