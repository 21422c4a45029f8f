#pragma once

#include <memory>

#include "engine/graph/kernel.h"
#include "engine/graph/plan.h"

namespace portfire::graph {

/// What is done to the scores before the softmax.
enum class Mask {
  kNone,
  kAdded,  ///< a tensor is added
  kHidden  ///< where a tensor is true, a score becomes so small that its weight is nothing
};

/// softmax(`scale` q k^T, masked) v (Vaswani et al., 2017, "Scaled Dot-Product Attention") by LibTorch's one operator. Takes q
/// [N, H, L, E], k [N, H, S, E], v [N, H, S, V] and the mask, if any. Where they are not all float32 on the CPU, hold an
/// infinity or a NaN, or where a row of the mask hides all (there LibTorch's operator gives other numbers), `steps` run, which
/// take the same, but a mask that is a constant.
std::shared_ptr<const Kernel> attention(Mask mask, double scale, Block steps);

}  // namespace portfire::graph
