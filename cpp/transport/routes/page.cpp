#include "transport/routes/page.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include <portfire/error.h>
#include <portfire/model.h>

#include "core/text.h"
#include "transport/page/files.h"

namespace portfire::routes {
namespace {

using nlohmann::ordered_json;
using Served = std::shared_ptr<const serving::Served>;

constexpr std::string_view kPolicy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";
struct Type {
  std::string_view ending, name;
};
constexpr Type kTypes[]{{".html", "text/html; charset=utf-8"}, {".css", "text/css; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"},
                        {".svg", "image/svg+xml"}, {".json", "application/json"}};

void send_file(const Call& call, std::string_view name) {
  const auto files = page::files();
  const auto file = std::find_if(files.begin(), files.end(), [&](const page::File& one) { return one.name == name; });
  if (file == files.end()) throw Error(ErrorCode::kNotFound, cat("the page has no file ", quoted(name)));
  const auto* type = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const Type& one) { return name.ends_with(one.ending); });
  call.exchange->send({.status = 200, .content_type = std::string(type->name), .body = std::string(file->content),
                       .headers = {{"Cache-Control", "no-cache"}, {"Content-Security-Policy", std::string(kPolicy)}, {"X-Frame-Options", "DENY"},
                                   {"Referrer-Policy", "no-referrer"}, {"Cross-Origin-Opener-Policy", "same-origin"}, {"Cross-Origin-Resource-Policy", "same-origin"}}});
}

/// What has happened since the version was loaded; the page makes rates of two of these.
ordered_json counted(const serving::Served& served) {
  const serving::Counters& counters = served.counters();
  ordered_json latencies = ordered_json::array();
  for (std::size_t k = 0; k <= counters.total.bounds().size(); ++k) latencies.push_back(counters.total.count(k));
  ordered_json out{{"answered", counters.total.total()}, {"failed", counters.failed()}, {"seconds", counters.total.sum()}, {"latencies", std::move(latencies)},
                   {"waiting", served.batcher().waiting()}};
  if (const std::optional<BatcherStats> texts = served.text_stats()) {
    out["texts"] = {{"writing", texts->sequences}, {"waiting", texts->waiting}, {"steps", texts->steps}, {"finished", texts->finished},
                    {"cancelled", texts->cancelled}, {"failed", texts->failed}};
  }
  return out;
}

void send_state(const Call& call, const Site& site) {
  std::map<std::pair<std::string, std::int64_t>, Served> served;
  for (const Served& one : site.repository.served()) served[{one->name(), one->version()}] = one;
  ordered_json models = ordered_json::array();
  for (const serving::VersionStatus& one : site.repository.list()) {
    ordered_json model{{"name", one.name}, {"version", std::to_string(one.version)}, {"state", serving::name_of(one.state)}, {"reason", one.reason}};
    const auto found = served.find({one.name, one.version});
    model["answers"] = found != served.end();
    if (found != served.end()) {
      model["task"] = found->second->info().task;
      model["counters"] = counted(*found->second);
    }
    models.push_back(std::move(model));
  }
  const bool stopping = site.stopping && site.stopping();
  ordered_json out{{"version", version()}, {"ready", site.repository.settled() && !stopping}, {"latency_bounds", serving::kSeconds}, {"models", std::move(models)}};
  call.exchange->send({.status = 200, .content_type = "application/json", .body = out.dump(-1, ' ', false, ordered_json::error_handler_t::replace),
                       .headers = {{"Cache-Control", "no-store"}}});
}

}  // namespace

void add_page(Router& router, const Site& site) {
  router.add("GET", "/", [](Call& call) { send_file(call, "index.html"); });
  router.add("GET", "/openapi.json", [](Call& call) { send_file(call, "openapi.json"); });
  router.add("GET", "/page/state", [site](Call& call) { send_state(call, site); });
  router.add("GET", "/page/{}", [](Call& call) { send_file(call, call.parts[0]); });
}

}  // namespace portfire::routes
