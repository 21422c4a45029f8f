#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/graph/kernel.h"
#include "engine/graph/plan.h"

namespace portfire::graph {

/// A higher-order operator: branches, loops, and regions that only Python's autograd minds. The stack holds its
/// arguments flattened, without the graphs and without `skipped` leading values.
struct ControlFlow {
  std::shared_ptr<const Kernel> kernel;  ///< null for an operator that there is not
  std::size_t skipped = 0;               ///< leading arguments that are no values of the program
};

/// `target` without its prefix: "cond", "while_loop", "map_impl", "scan", "wrap_with_set_grad_enabled",
/// "invoke_subgraph". `lists` are the lengths of its list arguments in order; `outputs` is how many values it gives.
ControlFlow find_control_flow(std::string_view target, std::vector<Block> graphs, const std::vector<std::size_t>& lists,
                              std::size_t outputs);

}  // namespace portfire::graph
