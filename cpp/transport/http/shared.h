#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "transport/http/exchange.h"
#include "transport/http/server.h"

namespace portfire::http {

namespace asio = boost::asio;
using boost::system::error_code;

/// What the sessions of a server share.
struct Shared {
  ServerOptions options;
  Gate gate;  ///< empty: open to all
  Handler handler;
  AccessLog* access_log = nullptr;  ///< null: nothing is noted
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> requests{0};
  std::atomic<bool> draining{false};
};

// Sockets that know their executor at compile time: a third of the cost of a request is saved.
using Executor = asio::io_context::executor_type;
using TcpSocket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
using LocalSocket = asio::basic_stream_socket<asio::local::stream_protocol, Executor>;
using SecureSocket = asio::ssl::stream<TcpSocket>;

using SteadyTime = std::chrono::steady_clock::time_point;

/// What the server does with all sessions alike, on its thread.
class AnySession {
 public:
  virtual ~AnySession() = default;
  /// Ends now where no request is being answered, else after its answer.
  virtual void drain() = 0;
  /// Called several times a second: ends what has not come or been taken in time, and looks whether clients whose requests
  /// take long are still there.
  virtual void tick(SteadyTime now) = 0;
  /// Closes, and tells who answers that the client is gone.
  virtual void lose() = 0;
};

}  // namespace portfire::http
