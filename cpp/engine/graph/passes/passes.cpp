#include "engine/graph/passes/passes.h"

#include <ATen/Context.h>

#include <algorithm>
#include <span>
#include <string_view>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::graph {
namespace {

enum class Level { kFreeze, kFull, kPack };  ///< the last: full, where oneDNN is

struct Pass {
  std::string_view name;
  void (*run)(Block&);
  Level level;
  bool beside_writers = true;  ///< also where some step writes to a tensor
  bool in_bfloat16 = true;
};

/// In their order. Bfloat16 comes before what packs.
constexpr Pass kPasses[] = {{"fuse_attention", fuse_attention, Level::kFull, false},
                            {"fold_constants", fold_constants, Level::kFreeze, false},
                            {"fold_batch_norms", fold_batch_norms, Level::kFreeze},
                            {"pack_convolutions", pack_convolutions, Level::kPack},
                            {"pack_linears", pack_linears, Level::kPack},
                            {"pack_batch_norms", pack_batch_norms, Level::kPack},
                            {"pool_directly", pool_directly, Level::kPack},
                            {"run_lstms", run_lstms, Level::kPack},
                            {"join_pointwise", join_pointwise, Level::kPack, true, false},
                            {"loosen_views", loosen_views, Level::kPack}};

void check_names(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (std::any_of(std::begin(kPasses), std::end(kPasses), [&](const Pass& pass) { return pass.name == name; })) continue;
    std::string known;
    for (const Pass& pass : kPasses) known += cat(known.empty() ? "" : ", ", pass.name);
    throw Error(ErrorCode::kInvalidArgument, cat("the engine graph has no pass ", quoted(name), "; one of ", known));
  }
}

}  // namespace

void optimize(Plan& plan, const EngineOptions& options) {
  check_names(options.skip_passes);
  const bool full = options.optimization == Optimization::kFull;
  const bool packs = full && options.device.kind == Device::Kind::kCpu && at::globalContext().hasMKLDNN();
  const bool reduced = options.precision == Precision::kBFloat16;
  const auto wanted = [&](const Pass& pass) {
    const bool reached = pass.level == Level::kFreeze ? options.optimization != Optimization::kNone : pass.level == Level::kFull ? full : packs;
    const auto& skipped = options.skip_passes;
    return reached && (pass.beside_writers || !plan.writes) && (pass.in_bfloat16 || !reduced) && std::find(skipped.begin(), skipped.end(), pass.name) == skipped.end();
  };
  const auto run = [&](bool packing) {
    for (const Pass& pass : kPasses) {
      if ((pass.level == Level::kPack) == packing && wanted(pass)) pass.run(plan.block);
    }
  };
  run(false);
  if (reduced) compute_in_bfloat16(plan.block);
  run(true);
  free_slots_early(plan.block);
}

}  // namespace portfire::graph
