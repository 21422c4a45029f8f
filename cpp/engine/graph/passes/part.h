#pragma once

#include <vector>

#include "engine/graph/plan.h"

namespace portfire::graph {

/// Copies of steps of `block` as a block by themselves, which takes the slots `inputs` and gives `output`: what a kernel that
/// stands for them runs where it cannot take their place. Its slots are its own.
Block part_of(const Block& block, std::vector<Step> steps, const std::vector<int>& inputs, int output);

}  // namespace portfire::graph
