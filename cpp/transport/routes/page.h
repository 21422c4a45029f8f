#pragma once

#include "transport/routes/router.h"

namespace portfire::routes {

/// The page for people: `GET /`, its files `GET /page/{file}`, what it polls, `GET /page/state`, and `GET /openapi.json`. All files
/// are in the program; nothing on the page comes from elsewhere, and its headers forbid that anything could.
void add_page(Router& router, const Site& site);

}  // namespace portfire::routes
