#pragma once

#include <string_view>

#include <portfire/model.h>

#include "engine/graph/plan.h"

namespace portfire::graph {

/// The passes that `level` asks for, in their order, over the program's own steps (branches and loops stay as they
/// are): kNone none, kFreeze those that are LibTorch's own operators still, kFull those for oneDNN on the CPU too.
void optimize(Plan& plan, Optimization level, Device device);

/// Batch norms with constant statistics go into the weights of the convolution or linear layer before them.
void fold_batch_norms(Block& block);

/// Convolutions of constant float32 or bfloat16 weights become oneDNN's on packed weights, with the activation and
/// the addition that follow them.
void pack_convolutions(Block& block);

/// The same for linear layers.
void pack_linears(Block& block);

}  // namespace portfire::graph
