#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/text.h"
#include "transport/http/head.h"
#include "transport/routes/open_inference.h"
#include "transport/wire/infer.h"

namespace portfire::routes {
namespace {

using nlohmann::ordered_json;
using Served = std::shared_ptr<const serving::Served>;

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
  ordered_json all{{"name", served.name()}, {"version", std::to_string(served.version())}, {"last_inference", counters.last_ms.load()},
                   {"inference_count", counters.samples.load()}, {"execution_count", batches}, {"inference_stats", std::move(stats)},
                   {"batch_stats", ordered_json::array()}};
  if (const std::optional<BatcherStats> texts = served.text_stats()) {
    all["text_stats"] = {{"sequences", texts->sequences}, {"waiting", texts->waiting}, {"finished", texts->finished}, {"cancelled", texts->cancelled}, {"failed", texts->failed}};
  }
  return all;
}

ordered_json specs_of(const std::vector<TensorSpec>& specs, bool batched) {
  ordered_json all = ordered_json::array();
  for (const TensorSpec& spec : specs) {
    ordered_json dims = ordered_json::array();
    for (std::size_t k = batched ? 1 : 0; k < spec.shape.size(); ++k) dims.push_back(spec.shape[k].symbol.empty() ? spec.shape[k].size : -1);
    all.push_back({{"name", spec.name}, {"data_type", cat("TYPE_", wire::datatype_of(spec.dtype))}, {"dims", std::move(dims)}});
  }
  return all;
}

ordered_json configuration(const serving::Served& served) {
  const ModelInfo& info = served.info();
  const std::int64_t most = info.manifest ? info.manifest->max_batch : 0;
  const auto symbolic = [](const TensorSpec& spec) { return !spec.shape.empty() && !spec.shape[0].symbol.empty(); };
  const bool batched = most > 1 && info.signature && std::all_of(info.signature->inputs.begin(), info.signature->inputs.end(), symbolic);
  const MethodSpec none{};
  const MethodSpec& forward = info.signature ? *info.signature : none;
  return {{"name", served.name()}, {"platform", cat("portfire_", info.engine)}, {"backend", "portfire"}, {"max_batch_size", batched ? most : 0},
          {"input", specs_of(forward.inputs, batched)}, {"output", specs_of(forward.outputs, batched)}};
}

/// Loading takes long: it is done on the thread that loads, and answered from there.
void later(const Call& call, const Site& site, std::function<void(const std::string&)> what) {
  site.later([what = std::move(what), name = call.parts[0], exchange = call.exchange] {
    try {
      what(name);
      exchange->send({.status = 200, .content_type = "", .body = {}, .headers = {}});
    } catch (const std::exception& failure) {
      exchange->send(http::reply_for(failure));
    }
  });
}

/// {"ready": true} in the body asks for those alone that are.
bool asks_for_ready(http::Request& request) {
  if (request.body().empty()) return false;
  const ordered_json body = ordered_json::parse(request.body(), nullptr, false);
  if (!body.is_object()) throw Error(ErrorCode::kInvalidInput, "the body is not a JSON object");
  const auto ready = body.find("ready");
  return ready != body.end() && ready->is_boolean() && ready->get<bool>();
}

}  // namespace

void add_repository(Router& router, const Site& site) {
  router.add("POST", "/v2/repository/index", [site](Call& call) {
    const bool only_ready = asks_for_ready(call.request);
    ordered_json all = ordered_json::array();
    for (const serving::VersionStatus& one : site.repository.list()) {
      if (only_ready && one.state != serving::VersionState::kReady) continue;
      all.push_back({{"name", one.name}, {"version", std::to_string(one.version)}, {"state", serving::name_of(one.state)}, {"reason", one.reason}});
    }
    call.reply(all.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
  });
  router.add("POST", "/v2/repository/models/{}/load", [site](Call& call) { later(call, site, [site](const std::string& name) { site.repository.load(name); }); });
  router.add("POST", "/v2/repository/models/{}/unload", [site](Call& call) { later(call, site, [site](const std::string& name) { site.repository.unload(name); }); });
  const auto send_all = [](const Call& call, const std::vector<Served>& served) {
    ordered_json all = ordered_json::array();
    for (const Served& one : served) all.push_back(statistics(*one));
    call.reply(ordered_json{{"model_stats", std::move(all)}}.dump());
  };
  router.add("GET", "/v2/models/stats", [site, send_all](Call& call) { send_all(call, site.repository.served()); });
  for (const bool versioned : {false, true}) {
    const std::string model = versioned ? "/v2/models/{}/versions/{}" : "/v2/models/{}";
    const auto find = [site, versioned](const Call& call) { return site.repository.find(call.parts[0], versioned ? version_in(call.parts[1]) : 0); };
    router.add("GET", model + "/stats", [find, send_all](Call& call) { send_all(call, {find(call)}); });
    router.add("GET", model + "/config", [find](Call& call) { call.reply(configuration(*find(call)).dump()); });
  }
}

}  // namespace portfire::routes
