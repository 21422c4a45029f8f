#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <vector>

#include "engine/graph/passes/affine.h"
#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {
namespace {

/// The axis of the weight that counts the outputs; -1 for a step that takes no batch norm in.
std::int64_t output_axis(const Step& step) {
  for (const char* name : {"aten::conv1d", "aten::conv2d", "aten::conv3d", "aten::linear"}) {
    if (step.op.name == name) return 0;
  }
  const bool transposed = step.op.name == "aten::conv_transpose2d" && step.operands.size() == 8;
  if (transposed) return step.operands[6].constant.isInt() && step.operands[6].constant.toInt() == 1 ? 1 : -1;
  if (step.op.name != "aten::convolution" || step.operands.size() != 9 || !step.operands[6].constant.isBool()) return -1;
  return step.operands[6].constant.toBool() ? -1 : 0;
}

/// `weight` times `scale` [O] along `axis`, in float64, a piece at a time: whole it would take three times its memory.
at::Tensor scaled(const at::Tensor& weight, std::int64_t axis, const at::Tensor& scale) {
  constexpr std::int64_t kPiece = 1 << 16;  // values
  std::vector<std::int64_t> shape(static_cast<std::size_t>(weight.dim()), 1);
  shape[static_cast<std::size_t>(axis)] = -1;
  const std::int64_t outputs = weight.size(axis);
  const std::int64_t step = std::max<std::int64_t>(1, kPiece * outputs / std::max<std::int64_t>(weight.numel(), 1));
  at::Tensor result = at::empty(weight.sizes(), weight.options().requires_grad(false));
  for (std::int64_t first = 0; first < outputs; first += step) {
    const std::int64_t count = std::min(step, outputs - first);
    result.narrow(axis, first, count).copy_(weight.narrow(axis, first, count).to(at::kDouble) * scale.narrow(0, first, count).view(shape));
  }
  return result;
}

bool fold(Step& layer, const Affine& affine) {
  const std::int64_t axis = output_axis(layer);
  const at::Tensor weight = axis < 0 ? at::Tensor() : constant_tensor(layer.operands[1]);
  const at::Tensor bias = axis < 0 ? at::Tensor() : constant_tensor(layer.operands[2]);
  if (!weight.defined() || (!bias.defined() && !is_none(layer.operands[2])) || weight.size(axis) != affine.scale.numel()) return false;
  fetch(weight);
  fetch(bias);
  const at::Tensor shift = bias.defined() ? bias.to(at::kDouble) * affine.scale + affine.shift : affine.shift;
  layer.operands[1].constant = scaled(weight, axis, affine.scale);
  layer.operands[2] = {.constant = shift.to(weight.scalar_type())};
  return true;
}

}  // namespace

void fold_batch_norms(Block& block) {
  const Uses uses(block);
  std::vector<bool> gone(block.steps.size(), false);
  for (std::size_t k = 0; k < block.steps.size(); ++k) {
    Step& norm = block.steps[k];
    const Affine affine = affine_of(norm);
    const int slot = affine.shift.defined() ? norm.operands[0].slot : Operand::kNoSlot;
    if (slot == Operand::kNoSlot || uses.only_taker(slot) != k || uses.giver(slot) == Uses::kNobody) continue;
    Step& layer = block.steps[uses.giver(slot)];
    // A linear layer's channels are its last axis, a batch norm's the second: the same where there are two.
    if (layer.op.name == "aten::linear" && rank_of(block, norm.operands[0]) != 2) continue;
    if (only_output(layer) != slot || !fold(layer, affine)) continue;
    layer.outputs[0] = norm.outputs[0];
    gone[k] = true;
  }
  erase_steps(block, gone);
}

}  // namespace portfire::graph
