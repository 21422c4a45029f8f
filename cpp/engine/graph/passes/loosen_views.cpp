#include <algorithm>

#include "engine/graph/passes/passes.h"

namespace portfire::graph {

void loosen_views(Block& block) {
  const auto reshape = find_schema("torch.ops.aten.reshape.default");
  if (!reshape) return;
  // What is a view to a later writer must stay one.
  const auto last_writer = std::find_if(block.steps.rbegin(), block.steps.rend(), [](const Step& step) { return !step.written.empty(); });
  for (auto step = last_writer.base(); step != block.steps.end(); ++step) {
    const bool views = (step->op.name == "aten::view" || step->op.name == "aten::_unsafe_view") && step->op.handle && step->operands.size() == 2;
    if (!views || step->op.handle->schema().arguments()[1].name() != "size") continue;
    step->op = {.name = "aten::reshape", .handle = reshape};
  }
}

}  // namespace portfire::graph
