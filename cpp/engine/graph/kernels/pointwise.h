#pragma once

#include <memory>
#include <vector>

#include "engine/graph/kernel.h"
#include "engine/graph/kernels/direct/direct.h"
#include "engine/graph/plan.h"

namespace portfire::graph {

/// A chain of operations on every value, a block in the cache at a time; it takes tensors that are broadcast to
/// one shape, and gives the last operation's result. Where they are not all float32, `steps` run instead, which take the first of
/// the inputs: those that are no constants.
std::shared_ptr<const Kernel> pointwise(std::vector<direct::PointwiseStep> chain, Block steps);

}  // namespace portfire::graph
