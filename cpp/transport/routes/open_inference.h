#pragma once

#include "transport/routes/router.h"

namespace portfire::routes {

/// The Open Inference Protocol v2 over HTTP: health, metadata, infer with its binary data extension.
void add_open_inference(Router& router, const Site& site);

/// Triton's extensions of it that people who look after a server use: the repository's index, load, unload, statistics and
/// configurations.
void add_repository(Router& router, const Site& site);

/// `POST /v1/models/{name}[/versions/{version}]:run`: a raw input in, the answer out.
void add_tasks(Router& router, const Site& site);

/// `POST /v1/models/{name}[/versions/{version}]:explain`: a raw input in, what the answer hangs on out.
void add_explanations(Router& router, const Site& site);

}  // namespace portfire::routes
