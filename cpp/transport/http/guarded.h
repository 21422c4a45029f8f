#pragma once

#include "transport/doors.h"
#include "transport/http/exchange.h"

namespace portfire::http {

/// `handler` behind doors: health and the page's own files, which say nothing of the models, are open to all; for the rest a key is
/// shown as "Authorization: Bearer KEY" or "X-API-Key: KEY". What a browser asks for a page of another site is refused. Refers to
/// `doors`.
Handler guarded(Doors& doors, Handler handler);

}  // namespace portfire::http
