#include "engine/graph/passes/passes.h"

#include <ATen/Context.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

#include <portfire/error.h>

#include "core/text.h"
#include "engine/graph/kernels/direct/direct.h"

namespace portfire::graph {
namespace {

enum class Level { kFreeze, kFull };  ///< the second on the CPU alone, where oneDNN is

struct Pass {
  std::string_view name;
  void (*run)(Block&);
  Level level;
  bool beside_writers = true;  ///< also where some step writes to a tensor
  bool in_bfloat16 = true;
};

/// In their order. Another precision comes between the levels.
constexpr Pass kPasses[] = {{"fold_constants", fold_constants, Level::kFreeze, false},
                            {"fold_batch_norms", fold_batch_norms, Level::kFreeze},
                            {"fuse_attention", fuse_attention, Level::kFull, false, false},
                            {"attend_directly", attend_directly, Level::kFull},
                            {"turn_pairs", turn_pairs, Level::kFull},
                            {"norm_directly", norm_directly, Level::kFull, true, false},
                            {"pack_convolutions", pack_convolutions, Level::kFull},
                            {"pack_linears", pack_linears, Level::kFull},
                            {"pack_batch_norms", pack_batch_norms, Level::kFull},
                            {"pool_directly", pool_directly, Level::kFull},
                            {"run_lstms", run_lstms, Level::kFull},
                            {"join_pointwise", join_pointwise, Level::kFull, true, false},
                            {"loosen_views", loosen_views, Level::kFull}};

void check_names(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (std::any_of(std::begin(kPasses), std::end(kPasses), [&](const Pass& pass) { return pass.name == name; })) continue;
    std::string known;
    for (const Pass& pass : kPasses) known += cat(known.empty() ? "" : ", ", pass.name);
    throw Error(ErrorCode::kInvalidArgument, cat("the engine graph has no pass ", quoted(name), "; one of ", known));
  }
}

/// How linear layers are kept before any other pass for `full`; nothing where that is left to `pack_linears`. What a program writes
/// to keeps its dtype, and so do the values that it writes.
std::optional<direct::Kept> kept_by(const EngineOptions& options, bool writes, bool packs) {
  constexpr std::int64_t kAPrompt = 1 << 30;  // multiplications of a layer
  switch (options.precision) {
    case Precision::kInt8: return direct::Kept::kInt8;
    case Precision::kBFloat16: return writes ? std::optional(direct::Kept::kBFloat16) : std::nullopt;
    default: return writes && packs && direct::kernels().most_products >= kAPrompt ? std::optional(direct::Kept::kFloat32) : std::nullopt;
  }
}

}  // namespace

void optimize(Plan& plan, const EngineOptions& options) {
  check_names(options.skip_passes);
  const bool on_cpu = options.device.kind == Device::Kind::kCpu;
  const bool full = options.optimization == Optimization::kFull && on_cpu && at::globalContext().hasMKLDNN();
  if (options.precision == Precision::kInt8 && !on_cpu) throw Error(ErrorCode::kUnsupported, cat("int8 needs the CPU; the device is ", options.device.to_string()));
  const auto allowed = [&](std::string_view name) { return std::find(options.skip_passes.begin(), options.skip_passes.end(), name) == options.skip_passes.end(); };
  const std::optional<direct::Kept> kept = kept_by(options, plan.writes && on_cpu, full && allowed("pack_linears"));
  const bool reduced = options.precision == Precision::kBFloat16 && !kept;
  const auto wanted = [&](const Pass& pass) {
    const bool reached = pass.level == Level::kFull ? full : options.optimization != Optimization::kNone;
    return reached && (pass.beside_writers || !plan.writes) && (pass.in_bfloat16 || !reduced) && allowed(pass.name);
  };
  const auto run = [&](Level level) {
    for (const Pass& pass : kPasses) {
      if (pass.level == level && wanted(pass)) pass.run(plan.block);
    }
  };
  run(Level::kFreeze);
  if (kept) keep_linears(plan.block, *kept);
  if (reduced) compute_in_bfloat16(plan.block);
  settle(plan.block);  // what nobody has asked for yet
  run(Level::kFull);
  free_slots_early(plan.block);
}

}  // namespace portfire::graph
