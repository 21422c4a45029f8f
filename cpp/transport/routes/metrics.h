#pragma once

#include <functional>

#include "transport/http/server.h"
#include "transport/routes/router.h"

namespace portfire::routes {

/// `GET /metrics`: what Prometheus collects, of models, texts, connections and the process. `connections` is asked on each call.
void add_metrics(Router& router, const Site& site, std::function<http::ServerStats()> connections);

}  // namespace portfire::routes
