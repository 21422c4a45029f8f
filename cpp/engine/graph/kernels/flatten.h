#pragma once

#include <memory>

#include "engine/graph/kernel.h"

namespace portfire::graph {

/// `aten::flatten` of all axes but the first, for where nobody writes to what it gives: a kernel of our own for a small float32
/// that is channels-last, LibTorch's for all else. Takes the input, gives the result.
std::shared_ptr<const Kernel> flatten();

}  // namespace portfire::graph
