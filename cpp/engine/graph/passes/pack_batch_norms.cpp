#include <utility>

#include "engine/graph/kernels/scale_and_shift.h"
#include "engine/graph/passes/affine.h"
#include "engine/graph/passes/follow.h"
#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {

void pack_batch_norms(Block& block) {
  pack_layers(block, "portfire::scale_and_shift", [](const Block& all, const Step& step) -> Layer {
    const Affine affine = affine_of(step);
    if (step.op.name != "aten::batch_norm" || !affine.shift.defined() || rank_of(all, step.operands[0]) != 4) return {};
    const BatchNorm norm{.gamma = constant_tensor(step.operands[1]), .beta = constant_tensor(step.operands[2]), .mean = constant_tensor(step.operands[3]),
                         .variance = constant_tensor(step.operands[4]), .epsilon = step.operands[7].constant.toDouble()};
    for (const at::Tensor& one : {norm.gamma, norm.beta, norm.mean, norm.variance}) {
      if (one.defined() && one.scalar_type() != at::kFloat) return {};
    }
    const auto make = [norm, affine](Epilogue epilogue) {
      return scale_and_shift(norm, affine.scale.to(at::kFloat), affine.shift.to(at::kFloat), std::move(epilogue));
    };
    return {.adds = false, .activates_sum = false, .make = make};
  });
}

}  // namespace portfire::graph
