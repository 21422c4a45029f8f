#pragma once

#include <memory>

#include "engine/graph/kernel.h"
#include "engine/graph/kernels/epilogue.h"

namespace portfire::graph {

/// oneDNN's x W^T + b on a weight packed for the number of rows. `weight` is float32 or bfloat16 [O, I], `bias` [O] or
/// undefined. Takes the input [..., I], and with `epilogue.adds` the tensor to add, of the result's shape [..., O];
/// gives the result.
std::shared_ptr<const Kernel> packed_linear(at::Tensor weight, at::Tensor bias, Epilogue epilogue);

}  // namespace portfire::graph
