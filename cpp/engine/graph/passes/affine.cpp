#include "engine/graph/passes/affine.h"

#include <ATen/TensorOperators.h>

#include "engine/graph/passes/uses.h"

namespace portfire::graph {

Affine affine_of(const Step& step) {
  const bool whole = step.op.name == "aten::batch_norm" && step.operands.size() == 9;
  const bool part = step.op.name == "aten::_native_batch_norm_legit_no_training" && step.operands.size() == 7;
  if (!whole && !part) return {};
  if (whole && (!step.operands[5].constant.isBool() || step.operands[5].constant.toBool())) return {};
  if (part && (step.outputs.size() != 3 || !step.outputs[1].empty() || !step.outputs[2].empty())) return {};
  const Operand& epsilon = step.operands[whole ? 7 : 6];
  const at::Tensor mean = constant_tensor(step.operands[3]);
  const at::Tensor variance = constant_tensor(step.operands[4]);
  if (!mean.defined() || !variance.defined() || !epsilon.constant.isDouble()) return {};
  for (const at::Tensor& one : {mean, variance, constant_tensor(step.operands[1]), constant_tensor(step.operands[2])}) {
    if (one.defined() && (one.dim() != 1 || one.numel() == 0 || one.numel() != mean.numel() || !one.is_floating_point())) return {};
  }
  for (std::size_t k = 1; k <= 4; ++k) fetch(constant_tensor(step.operands[k]));
  Affine affine{.scale = (variance.to(at::kDouble) + epsilon.constant.toDouble()).rsqrt(), .shift = {}};
  const at::Tensor gamma = constant_tensor(step.operands[1]);
  const at::Tensor beta = constant_tensor(step.operands[2]);
  if ((!gamma.defined() && !is_none(step.operands[1])) || (!beta.defined() && !is_none(step.operands[2]))) return {};
  if (gamma.defined()) affine.scale = affine.scale * gamma.to(at::kDouble);
  affine.shift = -mean.to(at::kDouble) * affine.scale;
  if (beta.defined()) affine.shift = affine.shift + beta.to(at::kDouble);
  return affine;
}

}  // namespace portfire::graph
