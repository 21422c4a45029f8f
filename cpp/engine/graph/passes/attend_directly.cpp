#include <algorithm>
#include <vector>

#include "engine/graph/kernels/one_query.h"
#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {
namespace {

/// Heads of keys or values that a step repeats, each right after itself.
struct Repeated {
  Operand heads;
  std::int64_t times = 1;
  std::size_t step = Uses::kNobody;
};

/// Without a step where the operand is no such thing, or was made before something was written.
Repeated repeated(const Block& block, const Uses& uses, const Operand& operand, std::size_t taker) {
  const std::size_t at = operand.slot == Operand::kNoSlot || uses.only_taker(operand.slot) != taker ? Uses::kNobody : uses.giver(operand.slot);
  if (at == Uses::kNobody) return {};
  const Step& step = block.steps[at];
  const bool repeats = step.op.name == "aten::repeat_interleave" && step.operands.size() >= 3 && step.operands[1].constant.isInt() && step.operands[2].constant.isInt();
  if (!repeats || step.operands[2].constant.toInt() != 1 || rank_of(block, operand) != 4 || step.operands[1].constant.toInt() < 1) return {};
  const bool stays = std::none_of(block.steps.begin() + static_cast<std::ptrdiff_t>(at), block.steps.begin() + static_cast<std::ptrdiff_t>(taker), [](const Step& one) { return one.writes(); });
  return stays ? Repeated{.heads = step.operands[0], .times = step.operands[1].constant.toInt(), .step = at} : Repeated{};
}

}  // namespace

void attend_directly(Block& block) {
  std::vector<bool> gone(block.steps.size(), false);
  for (std::size_t k = 0; k < block.steps.size(); ++k) {
    Step& step = block.steps[k];
    if (step.op.name == "aten::index_put_" && step.operands.size() == 4) step.op = {.name = "portfire::put_rows", .kernel = put_rows()};
    if (step.op.name != "aten::scaled_dot_product_attention" || step.operands.size() != 8) continue;
    const Uses uses(block);
    const Repeated keys = repeated(block, uses, step.operands[1], k), values = repeated(block, uses, step.operands[2], k);
    const bool shared = keys.step != Uses::kNobody && values.step != Uses::kNobody && keys.times == values.times;
    if (shared) {
      step.operands[1] = keys.heads;
      step.operands[2] = values.heads;
      gone[keys.step] = gone[values.step] = true;
    }
    step.op = {.name = "portfire::attend", .kernel = one_query(shared ? keys.times : 1)};
  }
  erase_steps(block, gone);
}

}  // namespace portfire::graph
