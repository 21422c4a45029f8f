#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "transport/http/server.h"
#include "transport/routes/router.h"

namespace portfire::rpc {

/// False where this was built without gRPC.
bool is_built() noexcept;

/// Speaks gRPC on one thread: inference.GRPCInferenceService, gRPC's health checks and its reflection. Thread-safe but for
/// `start` and `stop`.
class Server {
 public:
  /// Listens on the address, with the certificates and for messages of at most the size that `options` has for HTTP; who calls
  /// waits for `start`. Throws kInvalidArgument on certificates that mean nothing, kIo where it cannot listen, kUnsupported where
  /// this was built without gRPC.
  Server(const http::ServerOptions& options, std::uint16_t port);
  /// After whatever may still answer: `site`'s crew and repository.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Answers from now on. What `site` refers to must outlive `stop`.
  void start(const routes::Site& site);

  [[nodiscard]] std::uint16_t port() const;

  /// Accepts no more, lets calls that have begun end, at most `limit` long, and cancels the others.
  void stop(std::chrono::milliseconds limit);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace portfire::rpc
