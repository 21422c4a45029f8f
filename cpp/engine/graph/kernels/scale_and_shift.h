#pragma once

#include <memory>

#include "engine/graph/kernel.h"
#include "engine/graph/kernels/epilogue.h"

namespace portfire::graph {

/// A batch norm with known statistics, of [N, C, H, W]: float32 [C] all four, `gamma` and `beta` or undefined.
struct BatchNorm {
  at::Tensor gamma, beta, mean, variance;
  double epsilon = 0;
};

/// The same as `scale` x + `shift`, float32 [C] both, where the input is float32 and channels-last; LibTorch's operator
/// otherwise. Takes the input, gives the result.
std::shared_ptr<const Kernel> scale_and_shift(BatchNorm norm, at::Tensor scale, at::Tensor shift, Epilogue epilogue);

}  // namespace portfire::graph
