#include <utility>

#include "engine/graph/kernels/packed.h"
#include "engine/graph/kernels/packed_linear.h"
#include "engine/graph/passes/follow.h"
#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {
namespace {

struct Linear {
  at::Tensor weight;  ///< [O, I]
  at::Tensor bias;
};

bool known_one(const Operand& operand) { return operand.constant.isScalar() && operand.constant.toScalar().toDouble() == 1; }

/// The linear layer that a step is; without a weight where it is none.
Linear linear_of(const Step& step) {
  if (step.op.name == "aten::linear" && step.operands.size() == 3) {
    Linear found{.weight = constant_tensor(step.operands[1]), .bias = constant_tensor(step.operands[2])};
    return found.bias.defined() || is_none(step.operands[2]) ? found : Linear{};
  }
  if ((step.op.name == "aten::mm" || step.op.name == "aten::matmul") && step.operands.size() == 2) {
    const at::Tensor right = constant_tensor(step.operands[1]);
    return right.defined() && right.dim() == 2 ? Linear{.weight = right.t(), .bias = {}} : Linear{};
  }
  if (step.op.name == "aten::addmm" && step.operands.size() == 5 && known_one(step.operands[3]) && known_one(step.operands[4])) {
    const at::Tensor bias = constant_tensor(step.operands[0]);
    const at::Tensor right = constant_tensor(step.operands[2]);
    if (bias.defined() && right.defined() && bias.dim() == 1 && right.dim() == 2 && bias.size(0) == right.size(1)) return {.weight = right.t(), .bias = bias};
  }
  return {};
}

}  // namespace

void pack_linears(Block& block) {
  for (Step& step : block.steps) {  // the input stands first in every other layer
    if (step.op.name == "aten::addmm" && linear_of(step).weight.defined()) {
      const Linear found = linear_of(step);
      const auto linear = find_schema("torch.ops.aten.linear.default");
      step.op = {.name = "aten::linear", .handle = linear};
      step.operands = {step.operands[1], {.constant = found.weight}, {.constant = found.bias}};
    }
  }
  pack_layers(block, "portfire::linear", [](const Block& all, const Step& step) -> Layer {
    const Linear found = linear_of(step);
    const at::Tensor& weight = found.weight;
    if (!weight.defined() || weight.dim() != 2 || weight.numel() == 0 || !onednn_takes(weight.scalar_type())) return {};
    const at::Tensor& bias = found.bias;
    if (bias.defined() && (bias.dim() != 1 || bias.size(0) != weight.size(0) || bias.scalar_type() != weight.scalar_type())) return {};
    if (rank_of(all, step.operands[0]) < 2) return {};
    return {.adds = true, .activates_sum = false, .make = [found](Epilogue epilogue) { return packed_linear(found.weight, found.bias, std::move(epilogue)); }};
  });
}

}  // namespace portfire::graph
