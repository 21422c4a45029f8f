#pragma once

#include <memory>
#include <vector>

#include "engine/graph/kernel.h"

namespace portfire::graph {

/// One layer of an LSTM in one direction: float32 [4 H, I], [4 H, H], and [4 H] both or undefined.
struct LstmWeights {
  at::Tensor input, state, input_bias, state_bias;
};

/// `aten::lstm` over its layers, each with one direction or two. Takes the input [T, B, I], or [B, T, I] with `batch_first`,
/// the first states and the first cells [layers directions, B, H]; gives the last layer's states [T, B, directions H], or
/// [B, T, directions H], and the last states and cells of every layer.
std::shared_ptr<const Kernel> lstm(std::vector<std::vector<LstmWeights>> layers, bool batch_first);

}  // namespace portfire::graph
