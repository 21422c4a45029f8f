#include "transport/http/gate.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "transport/http/head.h"
#include "transport/routes/target.h"

namespace portfire::http {
namespace {

// Paths as the router will see them, so that no escape hides what they are.

/// What says nothing of the models.
bool is_open(const std::vector<std::string>& path) {
  if (path.empty()) return true;
  if (path.size() == 1) return path[0] == "openapi.json";
  if (path[0] == "page") return path.size() == 2 && path[1] != "state";
  return path[0] == "v2" && path[1] == "health";
}

/// What loads or unloads models.
bool is_control(const std::vector<std::string>& path) {
  return path.size() >= 2 && path[0] == "v2" && path[1] == "repository" && path.back() != "index";
}

/// A page of another site that has a browser ask here: browsers say so in what is not a plain GET.
bool is_foreign(const Request& request) {
  const std::optional<std::string_view> origin = request.header("Origin");
  if (!origin) return false;
  const std::size_t scheme = origin->find("://");
  return scheme == std::string_view::npos || origin->substr(scheme + 3) != request.header("Host").value_or("");
}

std::optional<Reply> without_key(Doors& doors, const Request& request) {
  const std::vector<std::string> path = routes::target_of(request.target()).path;
  if (is_open(path)) return std::nullopt;
  std::optional<std::string_view> credential = request.header("Authorization");
  if (!credential) credential = request.header("X-API-Key");
  Reply reply;
  switch (doors.admit(credential, is_control(path), request.access() != nullptr ? &request.access()->key : nullptr)) {
    case Doors::Verdict::kCome: return std::nullopt;
    case Doors::Verdict::kUnknown:
      reply = error_reply(401, "unauthenticated", "a key is needed: Authorization: Bearer KEY, or X-API-Key: KEY");
      reply.headers.emplace_back("WWW-Authenticate", "Bearer");
      break;
    case Doors::Verdict::kTooOften:
      reply = error_reply(429, "overloaded", "this key has made all the requests of this second; come again later");
      reply.headers.emplace_back("Retry-After", "1");
      break;
    case Doors::Verdict::kForbidden: reply = error_reply(403, "forbidden", "this key may not load or unload models"); break;
  }
  return reply;
}

}  // namespace

Gate gate(Doors& doors, std::optional<HostNames> names) {
  return [&doors, names = std::move(names)](const Request& request) -> std::optional<Reply> {
    if (names && !request.is_on_unix_socket()) {
      const std::string_view host = request.header("Host").value_or("");
      if (!names->has(host)) return error_reply(403, "forbidden", cat("the Host ", quoted(host), " is not one of this server's names, which are localhost and those given with portfire serve --allow-host NAME"));
    }
    if (is_foreign(request)) return error_reply(403, "forbidden", "pages of other sites may not ask here");
    if (!doors.asks()) return std::nullopt;
    return without_key(doors, request);
  };
}

}  // namespace portfire::http
