#pragma once

#include <memory>
#include <vector>

#include "engine/graph/kernel.h"
#include "engine/graph/kernels/epilogue.h"

namespace portfire::graph {

/// A convolution of a constant weight, as `aten::convolution` has it.
struct Convolution {
  at::Tensor weight;  ///< float32 or bfloat16 [O, I / groups, k, k] or with three k; transposed: [I, O / groups, k, k]
  at::Tensor bias;    ///< [O]; undefined without
  std::vector<std::int64_t> stride, padding, dilation, output_padding;
  std::int64_t groups = 1;
  bool transposed = false;
};

/// oneDNN's convolution on weights packed for the input's shape; activations stay channels-last. Takes the input, and
/// with `epilogue.adds` the tensor to add, of the result's shape; gives the result.
std::shared_ptr<const Kernel> packed_convolution(Convolution convolution, Epilogue epilogue);

}  // namespace portfire::graph
