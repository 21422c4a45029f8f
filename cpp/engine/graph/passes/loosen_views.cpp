#include <algorithm>

#include "engine/graph/kernels/flatten.h"
#include "engine/graph/passes/passes.h"

namespace portfire::graph {
namespace {

/// All axes but the first.
bool flattens(const Step& step) {
  const auto is = [&](std::size_t k, std::int64_t value) { return step.operands[k].constant.isInt() && step.operands[k].constant.toInt() == value; };
  return step.op.name == "aten::flatten" && step.operands.size() == 3 && step.operands[0].slot != Operand::kNoSlot && is(1, 1) && is(2, -1);
}

}  // namespace

void loosen_views(Block& block) {
  const auto reshape = find_schema("torch.ops.aten.reshape.default");
  if (!reshape) return;
  // What is a view to a later writer must stay one.
  const auto last_writer = std::find_if(block.steps.rbegin(), block.steps.rend(), [](const Step& step) { return step.writes(); });
  for (auto step = last_writer.base(); step != block.steps.end(); ++step) {
    if (flattens(*step)) {
      step->op = {.name = "portfire::flatten", .kernel = flatten()};
      step->operands.resize(1);
      continue;
    }
    const bool views = (step->op.name == "aten::view" || step->op.name == "aten::_unsafe_view") && step->op.handle && step->operands.size() == 2;
    if (!views || step->op.handle->schema().arguments()[1].name() != "size") continue;
    step->op = {.name = "aten::reshape", .handle = reshape};
  }
}

}  // namespace portfire::graph
