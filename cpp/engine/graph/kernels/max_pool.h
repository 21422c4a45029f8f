#pragma once

#include <memory>

#include "engine/graph/kernel.h"
#include "engine/graph/kernels/direct/layer.h"

namespace portfire::graph {

/// `aten::max_pool2d` or `max_pool3d` without a rest at the end: our own kernel for float32 that is channels-last, LibTorch's for
/// all else. Takes the input, gives the result.
std::shared_ptr<const Kernel> max_pool(direct::Window window);

}  // namespace portfire::graph
