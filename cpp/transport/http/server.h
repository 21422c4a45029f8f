#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "transport/http/exchange.h"

namespace portfire::http {

struct ServerOptions {
  std::string address = "127.0.0.1";  ///< an IP address
  std::uint16_t port = 8000;          ///< 0: one that is free
  std::string unix_socket{};          ///< a path; listened on as well, where it is not empty
  std::string certificate{};          ///< PEM files; with both, TCP speaks TLS
  std::string private_key{};
  std::string client_authority{};     ///< PEM: clients must show a certificate that it signed
  std::size_t max_body = std::size_t{64} << 20;
  std::uint32_t max_header = 16 << 10;
  std::size_t max_connections = 16384;
  std::chrono::seconds idle_time{75};     ///< for the next request to begin and its head to come
  std::chrono::seconds body_time{30};     ///< for a body to come, and a second more for each 64 KiB that it announces
  std::chrono::seconds write_time{30};    ///< for a client to take what is sent
};

struct ServerStats {
  std::uint64_t connections = 0;  ///< open
  std::uint64_t accepted = 0;
  std::uint64_t requests = 0;  ///< whose head has come
};

/// Speaks HTTP/1.1 on one thread and hands whole requests to a handler. Thread-safe but for `stop`.
class Server {
 public:
  /// Listens; who connects waits for `start`. Throws kInvalidArgument on an address or certificates that mean nothing, kIo where it
  /// cannot listen.
  explicit Server(const ServerOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Answers from now on. `often` is called on the server's thread, a few times a second; it must not throw. `gate` sees each
  /// request first. `access_log`, where it is given, must outlive this.
  void start(Handler handler, std::function<void()> often = {}, Gate gate = {}, AccessLog* access_log = nullptr);

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] ServerStats stats() const;

  /// Accepts no more, lets requests that have begun end, at most `limit` long, and closes all. Once is enough.
  void stop(std::chrono::milliseconds limit);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace portfire::http
