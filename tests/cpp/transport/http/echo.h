#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <portfire/error.h>

#include "client.h"
#include "transport/http/server.h"

namespace portfire::test {

using http::Exchange;
using http::Request;
using http::Server;
using http::ServerOptions;
using namespace std::chrono_literals;

/// Says what it was asked: "METHOD target body". Targets with a meaning: /later answers from another thread when it is told to,
/// /parts sends its body in parts, /throw throws.
class Echo {
 public:
  explicit Echo(ServerOptions options = {}) : server(free_port(options)) {
    server.start([this](Request& request, const std::shared_ptr<Exchange>& exchange) { handle(request, exchange); });
  }
  static ServerOptions free_port(ServerOptions options) {
    options.port = 0;
    return options;
  }
  ~Echo() { server.stop(10s); }

  void handle(Request& request, const std::shared_ptr<Exchange>& exchange) {
    const std::string body = std::string(request.method()) + " " + std::string(request.target()) + " " + request.body();
    if (request.target() == "/throw") throw Error(ErrorCode::kNotFound, "thrown");
    if (request.target() == "/parts") {
      exchange->begin({.content_type = "text/plain", .body = "first,"});
      exchange->write("second,");
      exchange->write("");
      exchange->write(body);
      return exchange->end();
    }
    if (request.target() == "/later" || request.target() == "/stream") {
      exchange->on_gone([this] {
        const std::lock_guard lock(mutex);
        ++gone;
        changed.notify_all();
      });
      if (request.target() == "/stream") exchange->begin({.content_type = "text/plain"});
      const std::lock_guard lock(mutex);
      waiting.push_back(exchange);
      changed.notify_all();
      return;
    }
    exchange->send({.content_type = "text/plain", .body = body});
  }

  std::shared_ptr<Exchange> taken() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return !waiting.empty(); });
    auto exchange = waiting.front();
    waiting.erase(waiting.begin());
    return exchange;
  }
  void wait_for_gone(int count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return gone >= count; });
  }
  void wait_for_no_connections() const {
    while (server.stats().connections > 0) std::this_thread::sleep_for(1ms);
  }
  /// All of the reply to bytes on a connection of their own.
  std::string ask(std::string_view bytes) const {
    Client client(server.port());
    client.send(bytes);
    return client.all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::shared_ptr<Exchange>> waiting;
  int gone = 0;
  Server server;
};

}  // namespace portfire::test
