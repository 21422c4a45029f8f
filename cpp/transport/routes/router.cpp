#include "transport/routes/router.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"
#include "transport/http/head.h"

namespace portfire::routes {
namespace {

constexpr std::string_view kAny = "{}";

bool matches(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
  return std::equal(pattern.begin(), pattern.end(), path.begin(), path.end(), [](const std::string& wanted, const std::string& given) {
    if (!wanted.starts_with(kAny)) return wanted == given;
    const std::string_view tail = std::string_view(wanted).substr(kAny.size());
    // A verb after a colon is of another pattern.
    return tail.empty() ? !given.empty() && given.find(':') == std::string::npos : given.size() > tail.size() && given.ends_with(tail);
  });
}

std::vector<std::string> parts_of(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
  std::vector<std::string> parts;
  for (std::size_t k = 0; k < path.size(); ++k) {
    if (pattern[k].starts_with(kAny)) parts.push_back(path[k].substr(0, path[k].size() - (pattern[k].size() - kAny.size())));
  }
  return parts;
}

}  // namespace

void Router::add(std::string_view method, std::string_view pattern, Route route) {
  entries_.push_back({std::string(method), target_of(pattern).path, std::move(route)});
}

void Router::handle(http::Request& request, const std::shared_ptr<http::Exchange>& exchange) const {
  Target target = target_of(request.target());
  const std::string_view method = request.method() == "HEAD" ? "GET" : request.method();
  std::string allowed;
  for (const Entry& entry : entries_) {
    if (!matches(entry.pattern, target.path)) continue;
    if (entry.method != method) {
      if (allowed.find(entry.method) == std::string::npos) allowed += cat(allowed.empty() ? "" : ", ", entry.method, entry.method == "GET" ? ", HEAD" : "");
      continue;
    }
    std::vector<std::string> parts = parts_of(entry.pattern, target.path);
    Call call{request, exchange, std::move(target), std::move(parts)};
    return entry.route(call);
  }
  if (allowed.empty()) return exchange->send(http::error_reply(404, "not-found", cat("there is nothing at ", quoted(request.target()), "; see /openapi.json")));
  http::Reply reply = method == "OPTIONS" ? http::Reply{.status = 204, .content_type = "", .body = {}, .headers = {}} : http::error_reply(405, "invalid-input", cat(quoted(request.target()), " does not take ", quoted(request.method()), "; it takes ", allowed));
  reply.headers.emplace_back("Allow", allowed);
  exchange->send(std::move(reply));
}

std::shared_ptr<const serving::Served> find(const Call& call, const Site& site, const std::string& name, std::int64_t version) {
  auto served = site.repository.find(name, version);
  if (Access* access = call.request.access()) {
    access->model = served->name();
    access->version = served->version();
  }
  return served;
}

std::int64_t version_in(const std::string& text) {
  std::int64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc() || end != text.data() + text.size() || version < 1) throw Error(ErrorCode::kNotFound, cat(quoted(text), " is no version; versions are whole numbers from 1 on"));
  return version;
}

}  // namespace portfire::routes
