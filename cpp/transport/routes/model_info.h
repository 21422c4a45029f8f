#pragma once

#include "transport/routes/router.h"

namespace portfire::routes {

/// `GET /v1/models/{name}[/versions/{version}]`: what a package says of itself and what runs it, for people and programs that show
/// it; with the fields of OpenAI's `models.retrieve` and of KServe's V1 protocol. Of how the model came to be it has the metrics, the recipe and the data's name
/// and licence; the rest may name what is not for strangers.
void add_model_info(Router& router, const Site& site);

}  // namespace portfire::routes
