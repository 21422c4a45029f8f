#include <utility>

#include "engine/graph/kernels/max_pool.h"
#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {

void pool_directly(Block& block) {
  for (Step& step : block.steps) {
    if (step.op.name != "aten::max_pool2d" || step.operands.size() != 6 || step.operands[0].slot == Operand::kNoSlot) continue;
    const Operand& leaves_rest = step.operands[5];
    direct::Window window{.size = known_ints(step.operands[1], 2), .stride = known_ints(step.operands[2], 2),
                          .padding = known_ints(step.operands[3], 2), .dilation = known_ints(step.operands[4], 2)};
    const bool strides_by_size = step.operands[2].constant.isIntList() && step.operands[2].constant.toIntList().empty();
    if (strides_by_size) window.stride = window.size;
    const bool known = !window.size.empty() && !window.stride.empty() && !window.padding.empty() && !window.dilation.empty();
    if (!known || !leaves_rest.constant.isBool() || leaves_rest.constant.toBool()) continue;
    step.op = {.name = "portfire::max_pool", .kernel = max_pool(std::move(window))};
    step.operands.resize(1);
  }
}

}  // namespace portfire::graph
