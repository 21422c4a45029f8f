#pragma once

#include "transport/routes/router.h"

namespace portfire::routes {

/// Texts for models of text-generation: `POST /v2/models/{name}[/versions/{version}]/generate` and `generate_stream`, as Triton has
/// them; `GET /v1/models`, `POST /v1/completions` and `/v1/chat/completions`, as OpenAI's clients expect them.
void add_texts(Router& router, const Site& site);

}  // namespace portfire::routes
