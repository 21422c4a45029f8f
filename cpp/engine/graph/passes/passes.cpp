#include "engine/graph/passes/passes.h"

#include <ATen/Context.h>

namespace portfire::graph {

void optimize(Plan& plan, const EngineOptions& options) {
  const bool reduced = options.precision == Precision::kBFloat16;
  if (options.optimization == Optimization::kNone && !reduced) return;
  if (options.optimization != Optimization::kNone) {
    if (!plan.writes) fold_constants(plan.block);
    fold_batch_norms(plan.block);
  }
  if (reduced) compute_in_bfloat16(plan.block);
  const bool on_cpu = options.device.kind == Device::Kind::kCpu;
  if (options.optimization == Optimization::kFull && on_cpu && at::globalContext().hasMKLDNN()) {
    pack_convolutions(plan.block);
    pack_linears(plan.block);
    pack_batch_norms(plan.block);
    pool_directly(plan.block);
    run_lstms(plan.block);
    loosen_views(plan.block);
  }
  free_slots_early(plan.block);
}

}  // namespace portfire::graph
