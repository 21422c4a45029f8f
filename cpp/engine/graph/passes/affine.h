#pragma once

#include <ATen/core/Tensor.h>

#include "engine/graph/plan.h"

namespace portfire::graph {

/// y = x * scale + shift in each channel, float64 [C].
struct Affine {
  at::Tensor scale;
  at::Tensor shift;
};

/// What a batch norm does where all of it is known (Ioffe and Szegedy, 2015, "Inference with batch-normalised
/// networks"); undefined otherwise.
Affine affine_of(const Step& step);

}  // namespace portfire::graph
