#pragma once

#include "engine/graph/plan.h"
#include "engine/loaded_engine.h"

namespace portfire::graph {

namespace direct {
enum class Kept;
}

/// The passes that `options` ask for, in their order, over the program's own steps (branches and loops stay as they
/// are): kNone none, kFreeze those that are LibTorch's own operators still, kFull those for oneDNN on the CPU too;
/// and another precision at any level. Throws kInvalidArgument where `options.skip_passes` names none of them, kUnsupported for
/// 8 bits elsewhere than on the CPU.
void optimize(Plan& plan, const EngineOptions& options);

/// What depends on no input is computed once. Only for blocks of which no step writes to a tensor.
void fold_constants(Block& block);

/// Batch norms with constant statistics go into the weights of the convolution or linear layer before them.
void fold_batch_norms(Block& block);

/// Convolutions of constant float32 or bfloat16 weights become oneDNN's on packed weights, with the activation and
/// the addition that follow them.
void pack_convolutions(Block& block);

/// The same for linear layers.
void pack_linears(Block& block);

/// Linear layers of constant float32 weights, and embeddings that look rows of one of these up, go to our own kernels, which keep
/// the weights once, in as many bits or fewer, and compute in float32. Small layers stay as they are. What else there is of the
/// weights is copied: nothing of the file is kept. Before any other pass for `full`.
void keep_linears(Block& block, direct::Kept kept);

/// softmax(scale q k^T + mask) v, written out, becomes one kernel. Only for blocks of which no step writes to a tensor.
void fuse_attention(Block& block);

/// Attention for one query a head, and the writing of rows to a state, go to kernels of our own where they can.
void attend_directly(Block& block);

/// Rotary positions of neighbouring channels, written with `unbind` and `stack`, become one kernel.
void turn_pairs(Block& block);

/// Layer norms over the last axis, and norms by the root mean square, go to a kernel of our own.
void norm_directly(Block& block);

/// Batch norms that could not go into a layer become one pass over the data, with the activation that follows.
void pack_batch_norms(Block& block);

/// Activations are channels-last now, of which a view may be impossible that was possible before: views copy where they
/// have to, where no later step writes to a tensor. What flattens all axes but the first goes to a kernel of our own.
void loosen_views(Block& block);

/// LSTMs of constant float32 weights go to a kernel of our own.
void run_lstms(Block& block);

/// Chains of operations on every value become one kernel that takes a block of values at a time through all of them.
void join_pointwise(Block& block);

/// Max pooling over two axes or three goes to a kernel of our own where the input is float32 and channels-last.
void pool_directly(Block& block);

/// Weights become bfloat16, what goes into layers is converted where it is not, and floating outputs are float32 again.
/// Where the program insists on float32 between, a call fails, and the golden samples with it.
void compute_in_bfloat16(Block& block);

}  // namespace portfire::graph
