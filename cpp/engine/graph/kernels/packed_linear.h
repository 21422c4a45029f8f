#pragma once

#include <memory>

#include "engine/graph/kernel.h"
#include "engine/graph/kernels/direct/linear.h"
#include "engine/graph/kernels/epilogue.h"

namespace portfire::graph {

/// x W^T + b by oneDNN on a weight packed for the number of rows, or by our own kernel. `weight` is float32 or bfloat16 [O, I], `bias` [O] or
/// undefined. Takes the input [..., I], and with `epilogue.adds` the tensor to add, of the result's shape [..., O];
/// gives the result.
std::shared_ptr<const Kernel> packed_linear(at::Tensor weight, at::Tensor bias, Epilogue epilogue);

/// The same by our own kernel whatever the number of rows, for float32 inputs; nothing else is kept of the weight.
std::shared_ptr<const Kernel> packed_linear(direct::LinearWeight weight, at::Tensor bias, Epilogue epilogue);

/// Rows of such a weight: takes the indices.
std::shared_ptr<const Kernel> packed_embedding(direct::LinearWeight weight);

}  // namespace portfire::graph
