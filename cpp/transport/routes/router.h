#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "serving/repository.h"
#include "transport/doors.h"
#include "transport/http/exchange.h"
#include "transport/routes/target.h"

namespace portfire::routes {

/// What the routes answer from.
struct Site {
  serving::Repository& repository;
  serving::Crew& crew;
  std::function<bool()> stopping;                            ///< true while the server drains
  std::function<void(std::function<void()>)> later;           ///< does it on the thread that loads
  Doors* doors = nullptr;                                     ///< null: open to everybody
  AccessLog* access_log = nullptr;                            ///< null: nothing is noted
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
};

/// A request on its way to a route. Used on the thread that took it; what answers later keeps `exchange`.
struct Call {
  http::Request& request;
  const std::shared_ptr<http::Exchange>& exchange;
  Target target;
  std::vector<std::string> parts;  ///< what the pattern's {} stand for

  void reply(std::string json) const { exchange->send({.status = 200, .content_type = "application/json", .body = std::move(json), .headers = {}}); }
};

/// Methods and path patterns with what answers them.
class Router {
 public:
  using Route = std::function<void(Call& call)>;

  /// `pattern` is a path such as "/v2/models/{}/infer"; {} stands for one segment, and may be followed by text: "{}:run".
  void add(std::string_view method, std::string_view pattern, Route route);
  /// Replies 404 where there is no such path, 405 with Allow where it has other methods. HEAD is answered as GET, OPTIONS with
  /// Allow.
  void handle(http::Request& request, const std::shared_ptr<http::Exchange>& exchange) const;

 private:
  struct Entry {
    std::string method;
    std::vector<std::string> pattern;
    Route route;
  };

  std::vector<Entry> entries_;
};

/// `Repository::find`, noted for the access log.
std::shared_ptr<const serving::Served> find(const Call& call, const Site& site, const std::string& name, std::int64_t version = 0);

/// The version in a path: "" is the newest. Throws kNotFound on what is no version.
std::int64_t version_in(const std::string& text);

}  // namespace portfire::routes
