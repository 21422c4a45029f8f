#pragma once

#include <ATen/core/ivalue.h>

#include <vector>

#include "engine/graph/plan.h"

namespace portfire::graph {

/// Calls the steps one after another. `inputs` are as many as the block's. Throws what the operators throw,
/// kInvalidInput where a list has another length than at the export, and kUnsupported where a weight would change.
std::vector<c10::IValue> run_block(const Block& block, std::vector<c10::IValue> inputs);

}  // namespace portfire::graph
