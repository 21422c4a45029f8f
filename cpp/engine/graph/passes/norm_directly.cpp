#include <vector>

#include "engine/graph/kernels/norm.h"
#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {
namespace {

/// Known and float32 [size], or nothing.
bool is_scale(const Operand& operand, std::int64_t size) {
  const at::Tensor known = constant_tensor(operand);
  return known.defined() ? known.is_cpu() && known.scalar_type() == at::kFloat && known.dim() == 1 && known.size(0) == size : is_none(operand);
}

}  // namespace

void norm_directly(Block& block) {
  for (Step& step : block.steps) {
    const bool is_layer = step.op.name == "aten::layer_norm" && step.operands.size() == 6;
    const bool is_rms = step.op.name == "aten::rms_norm" && step.operands.size() == 4;
    if (!is_layer && !is_rms) continue;
    const std::vector<std::int64_t> sizes = known_ints(step.operands[1], 1);
    const Operand& epsilon = step.operands[is_rms ? 3 : 4];
    const Operand bias = is_layer ? step.operands[3] : Operand{};
    if (sizes.empty() || sizes[0] < 1 || !epsilon.constant.isDouble() || !is_scale(step.operands[2], sizes[0]) || !is_scale(bias, sizes[0])) continue;
    step.op = {.name = "portfire::norm", .kernel = norm(constant_tensor(step.operands[2]), constant_tensor(bias), sizes[0], epsilon.constant.toDouble(), is_rms)};
    step.operands.resize(1);
  }
}

}  // namespace portfire::graph
