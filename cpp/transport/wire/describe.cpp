#include "transport/wire/describe.h"

#include <algorithm>
#include <string>
#include <utility>

#include <portfire/model.h>

#include "core/text.h"
#include "transport/wire/infer.h"

namespace portfire::wire {
namespace {

using nlohmann::ordered_json;
using Served = std::shared_ptr<const serving::Served>;

ordered_json described(const std::vector<TensorSpec>& specs) {
  ordered_json all = ordered_json::array();
  for (const TensorSpec& spec : specs) {
    ordered_json shape = ordered_json::array();
    for (const Dimension& axis : spec.shape) shape.push_back(axis.symbol.empty() ? axis.size : -1);
    all.push_back({{"name", spec.name}, {"datatype", datatype_of(spec.dtype)}, {"shape", std::move(shape)}});
  }
  return all;
}

/// What Triton's clients know of a request's timing: how often and how long in all.
ordered_json counted(std::uint64_t count, double seconds) {
  return {{"count", count}, {"ns", static_cast<std::uint64_t>(seconds * 1e9)}};
}

ordered_json statistics(const serving::Served& served) {
  const serving::Counters& counters = served.counters();
  const std::uint64_t batches = counters.batch.total();
  ordered_json stats{{"success", counted(counters.total.total(), counters.total.sum())},
                     {"fail", counted(counters.failed(), 0)},
                     {"queue", counted(counters.queue.total(), counters.queue.sum())},
                     {"compute_input", counted(batches, counters.preprocess.sum())},
                     {"compute_infer", counted(batches, counters.forward.sum())},
                     {"compute_output", counted(batches, counters.postprocess.sum())},
                     {"cache_hit", counted(0, 0)},
                     {"cache_miss", counted(0, 0)}};
  return {{"name", served.name()}, {"version", std::to_string(served.version())}, {"last_inference", counters.last_ms.load()},
          {"inference_count", counters.samples.load()}, {"execution_count", batches}, {"inference_stats", std::move(stats)},
          {"batch_stats", ordered_json::array()}};
}

ordered_json specs_of(const std::vector<TensorSpec>& specs, bool batched) {
  ordered_json all = ordered_json::array();
  for (const TensorSpec& spec : specs) {
    ordered_json dims = ordered_json::array();
    for (std::size_t k = batched ? 1 : 0; k < spec.shape.size(); ++k) dims.push_back(spec.shape[k].symbol.empty() ? spec.shape[k].size : -1);
    all.push_back({{"name", spec.name}, {"data_type", cat("TYPE_", datatype_of(spec.dtype))}, {"dims", std::move(dims)}});
  }
  return all;
}

}  // namespace

ordered_json server_metadata() {
  return {{"name", "portfire"}, {"version", version()}, {"extensions", {"binary_tensor_data", "classification", "model_configuration", "model_repository", "model_repository(unload_dependents)", "statistics", "schedule_policy"}}};
}

ordered_json model_metadata(const serving::Repository& repository, const serving::Served& served) {
  const ModelInfo& info = served.info();
  ordered_json versions = ordered_json::array();
  for (const Served& one : repository.served()) {
    if (one->name() == served.name()) versions.push_back(std::to_string(one->version()));
  }
  const MethodSpec none{};
  const MethodSpec& forward = info.signature ? *info.signature : none;
  return {{"name", served.name()}, {"versions", std::move(versions)}, {"platform", cat("portfire_", info.engine)},
                          {"inputs", described(forward.inputs)}, {"outputs", described(forward.outputs)}};
}

ordered_json model_config(const serving::Served& served) {
  const ModelInfo& info = served.info();
  const std::int64_t most = info.manifest ? info.manifest->max_batch : 0;
  const auto symbolic = [](const TensorSpec& spec) { return !spec.shape.empty() && !spec.shape[0].symbol.empty(); };
  const bool batched = most > 1 && info.signature && std::all_of(info.signature->inputs.begin(), info.signature->inputs.end(), symbolic);
  const MethodSpec none{};
  const MethodSpec& forward = info.signature ? *info.signature : none;
  return {{"name", served.name()}, {"platform", cat("portfire_", info.engine)}, {"backend", "portfire"}, {"max_batch_size", batched ? most : 0},
          {"input", specs_of(forward.inputs, batched)}, {"output", specs_of(forward.outputs, batched)},
          {"model_transaction_policy", {{"decoupled", served.writes_text()}}}};
}

ordered_json model_statistics(const std::vector<Served>& served) {
  ordered_json all = ordered_json::array();
  for (const Served& one : served) all.push_back(statistics(*one));
  return {{"model_stats", std::move(all)}};
}

ordered_json repository_index(const serving::Repository& repository, bool only_ready) {
  ordered_json all = ordered_json::array();
  for (const serving::VersionStatus& one : repository.list()) {
    if (only_ready && one.state != serving::VersionState::kReady) continue;
    all.push_back({{"name", one.name}, {"version", std::to_string(one.version)}, {"state", serving::name_of(one.state)}, {"reason", one.reason}});
  }
  return all;
}

}  // namespace portfire::wire
