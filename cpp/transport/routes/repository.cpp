#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/text.h"
#include "transport/http/head.h"
#include "transport/routes/open_inference.h"
#include "transport/wire/describe.h"

namespace portfire::routes {
namespace {

using nlohmann::ordered_json;

/// Loading takes long: it is done on the thread that loads, and answered from there.
void later(const Call& call, const Site& site, std::function<void(const std::string&)> what) {
  if (Access* access = call.request.access()) access->model = call.parts[0];
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
  if (ready == body.end()) return false;
  if (!ready->is_boolean()) throw Error(ErrorCode::kInvalidInput, cat("ready is ", quoted(ready->dump(-1, ' ', true, ordered_json::error_handler_t::replace)), "; true or false is needed"));
  return ready->get<bool>();
}

/// As Triton has them, and for models that write texts what those do.
std::string statistics(const std::vector<std::shared_ptr<const serving::Served>>& served) {
  ordered_json all = wire::model_statistics(served);
  for (std::size_t k = 0; k < served.size(); ++k) {
    const std::optional<BatcherStats> texts = served[k]->text_stats();
    if (!texts) continue;
    all["model_stats"][k]["text_stats"] = {{"sequences", texts->sequences}, {"waiting", texts->waiting}, {"finished", texts->finished},
                                           {"cancelled", texts->cancelled}, {"failed", texts->failed}};
  }
  return all.dump();
}

}  // namespace

void add_repository(Router& router, const Site& site) {
  router.add("POST", "/v2/repository/index", [site](Call& call) {
    const bool only_ready = asks_for_ready(call.request);
    call.reply(wire::repository_index(site.repository, only_ready).dump(-1, ' ', false, ordered_json::error_handler_t::replace));
  });
  router.add("POST", "/v2/repository/models/{}/load", [site](Call& call) { later(call, site, [site](const std::string& name) { site.repository.load(name); }); });
  router.add("POST", "/v2/repository/models/{}/unload", [site](Call& call) { later(call, site, [site](const std::string& name) { site.repository.unload(name); }); });
  router.add("GET", "/v2/models/stats", [site](Call& call) { call.reply(statistics(site.repository.served())); });
  for (const bool versioned : {false, true}) {
    const std::string model = versioned ? "/v2/models/{}/versions/{}" : "/v2/models/{}";
    const auto served_by = [site, versioned](const Call& call) { return find(call, site, call.parts[0], versioned ? version_in(call.parts[1]) : 0); };
    router.add("GET", model + "/stats", [served_by](Call& call) { call.reply(statistics({served_by(call)})); });
    router.add("GET", model + "/config", [served_by](Call& call) { call.reply(wire::model_config(*served_by(call)).dump()); });
  }
}

}  // namespace portfire::routes
