#pragma once

#include "transport/routes/router.h"

namespace portfire::routes {

/// What OpenAI's clients ask for: `GET /v1/models`, `POST /v1/completions` and `/v1/chat/completions`.
void add_openai(Router& router, const Site& site);

}  // namespace portfire::routes
