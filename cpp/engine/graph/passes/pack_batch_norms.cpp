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
    if (!affine.shift.defined() || rank_of(all, step.operands[0]) != 4) return {};
    const auto make = [affine](Epilogue epilogue) { return scale_and_shift(affine.scale.to(at::kFloat), affine.shift.to(at::kFloat), std::move(epilogue)); };
    return {.adds = false, .activates_sum = false, .make = make};
  });
}

}  // namespace portfire::graph
