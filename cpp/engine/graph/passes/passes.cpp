#include "engine/graph/passes/passes.h"

#include <ATen/Context.h>

namespace portfire::graph {

void optimize(Plan& plan, Optimization level, Device device) {
  if (level == Optimization::kNone) return;
  fold_batch_norms(plan.block);
  if (level == Optimization::kFull && device.kind == Device::Kind::kCpu && at::globalContext().hasMKLDNN()) {
    pack_convolutions(plan.block);
    pack_linears(plan.block);
  }
  free_slots_early(plan.block);
}

}  // namespace portfire::graph
