#include <utility>

#include "engine/graph/kernels/max_pool.h"
#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {

void pool_directly(Block& block) {
  for (Step& step : block.steps) {
    const std::size_t axes = step.op.name == "aten::max_pool2d" ? 2 : step.op.name == "aten::max_pool3d" ? 3 : 0;
    if (axes == 0 || step.operands.size() != 6 || step.operands[0].slot == Operand::kNoSlot) continue;
    const Operand& leaves_rest = step.operands[5];
    direct::Window window{.size = known_ints(step.operands[1], axes), .stride = known_ints(step.operands[2], axes),
                          .padding = known_ints(step.operands[3], axes), .dilation = known_ints(step.operands[4], axes)};
    const bool strides_by_size = step.operands[2].constant.isIntList() && step.operands[2].constant.toIntList().empty();
    if (strides_by_size) window.stride = window.size;
    const bool known = !window.size.empty() && !window.stride.empty() && !window.padding.empty() && !window.dilation.empty();
    if (!known || !leaves_rest.constant.isBool() || leaves_rest.constant.toBool()) continue;
    step.op = {.name = "portfire::max_pool", .kernel = max_pool(std::move(window))};
    step.operands.resize(1);
  }
}

}  // namespace portfire::graph
