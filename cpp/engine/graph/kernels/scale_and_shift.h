#pragma once

#include <memory>

#include "engine/graph/kernel.h"
#include "engine/graph/kernels/epilogue.h"

namespace portfire::graph {

/// What a batch norm with known statistics does to each channel of [N, C, H, W]; float32 [C] both. Takes the input,
/// gives the result.
std::shared_ptr<const Kernel> scale_and_shift(at::Tensor scale, at::Tensor shift, Epilogue epilogue);

}  // namespace portfire::graph
