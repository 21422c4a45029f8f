#pragma once

#include <optional>

#include "transport/doors.h"
#include "transport/http/exchange.h"
#include "transport/http/host_names.h"

namespace portfire::http {

/// Turns away, before a request's body is read: who asks by a name that is not among `names` (where they are given, and not over a
/// Unix socket), what a browser asks for a page of another site, and who shows no key ("Authorization: Bearer KEY" or "X-API-Key:
/// KEY") or one that may not do this, or not so often. Health and the page's own files, which say nothing of the models, need no
/// key. Refers to `doors`.
Gate gate(Doors& doors, std::optional<HostNames> names);

}  // namespace portfire::http
