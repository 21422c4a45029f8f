#include "transport/http/server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <future>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <portfire/error.h>

#include "core/text.h"
#include "transport/http/session.h"

namespace portfire::http {
namespace {

using asio::ip::tcp;
using Local = asio::local::stream_protocol;

constexpr std::chrono::milliseconds kTick{200};
constexpr std::chrono::seconds kToClose{1};
constexpr std::chrono::milliseconds kBreath{50};  // before a failed accept is tried again: there may be no descriptors left

/// Throws kInvalidArgument.
std::unique_ptr<asio::ssl::context> tls_for(const ServerOptions& options) {
  if (options.certificate.empty() != options.private_key.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "TLS needs a certificate and its private key; one of them is missing");
  }
  if (options.certificate.empty()) {
    if (!options.client_authority.empty()) throw Error(ErrorCode::kInvalidArgument, "clients can show certificates over TLS only; give a certificate and its private key too");
    return nullptr;
  }
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  const auto require = [](const error_code& failed, const std::string& path, const char* what) {
    if (failed) throw Error(ErrorCode::kInvalidArgument, cat(path, ": cannot be used as ", what, ": ", failed.message()));
  };
  error_code failed;
  context->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, failed);
  context->use_certificate_chain_file(options.certificate, failed);
  require(failed, options.certificate, "a certificate");
  context->use_private_key_file(options.private_key, asio::ssl::context::pem, failed);
  require(failed, options.private_key, "the certificate's private key");
  if (!options.client_authority.empty()) {
    context->load_verify_file(options.client_authority, failed);
    require(failed, options.client_authority, "an authority of clients");
    context->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert, failed);
  }
  return context;
}

}  // namespace

struct Server::Impl {
  asio::io_context io{1};
  std::shared_ptr<Shared> shared = std::make_shared<Shared>();
  std::unique_ptr<asio::ssl::context> tls;
  std::optional<tcp::acceptor> acceptor;
  std::optional<Local::acceptor> local;
  asio::steady_timer breath{io};
  asio::steady_timer ticks{io};
  std::vector<std::weak_ptr<AnySession>> sessions;
  std::function<void()> often;
  std::thread thread;

  void tick() {
    ticks.expires_after(kTick);
    ticks.async_wait([this](error_code error) {
      if (error) return;
      const auto now = std::chrono::steady_clock::now();
      std::erase_if(sessions, [&](const std::weak_ptr<AnySession>& one) {
        const std::shared_ptr<AnySession> session = one.lock();
        if (session != nullptr) session->tick(now);
        return session == nullptr;
      });
      if (often) often();
      tick();
    });
  }

  template <typename Socket, typename Acceptor>
  void accept(Acceptor& from) {
    from.async_accept(io.get_executor(), [this, &from](error_code error, Socket socket) {
      if (!error && shared->connections < shared->options.max_connections) begin(std::move(socket));
      if (!from.is_open()) return;
      if (error) {
        breath.expires_after(kBreath);
        breath.async_wait([this, &from](error_code) { accept<Socket>(from); });
        return;
      }
      accept<Socket>(from);
    });
  }

  /// Takes who has connected already, and no more.
  template <typename Socket, typename Acceptor>
  void end(Acceptor& from) {
    error_code failed;
    from.non_blocking(true, failed);
    while (!failed) {
      Socket socket(io.get_executor());
      from.accept(socket, failed);
      if (!failed && shared->connections < shared->options.max_connections) begin(std::move(socket));
    }
    from.close(failed);
  }

  void run() {
    while (!io.stopped()) {
      try {
        io.run();
      } catch (const std::exception&) {  // no memory, say: the connection that it was for is closed, the others go on
      }
    }
  }

  template <typename Stream, typename... Args>
  void add(Args&&... args) {
    shared->accepted.fetch_add(1, std::memory_order_relaxed);
    auto session = std::make_shared<Session<Stream>>(shared, std::forward<Args>(args)...);
    sessions.push_back(session);
    session->start();
  }

  void begin(TcpSocket socket) {
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    if (tls != nullptr) {
      add<SecureSocket>(std::move(socket), *tls);
    } else {
      add<TcpSocket>(std::move(socket));
    }
  }
  void begin(LocalSocket socket) { add<LocalSocket>(std::move(socket)); }

  void listen_on_tcp(const ServerOptions& options) {
    error_code failed;
    const asio::ip::address address = asio::ip::make_address(options.address, failed);
    if (failed) throw Error(ErrorCode::kInvalidArgument, cat("the address ", quoted(options.address), " is no IP address; 127.0.0.1 is this machine alone, 0.0.0.0 every network"));
    const tcp::endpoint endpoint(address, options.port);
    acceptor.emplace(io);
    acceptor->open(endpoint.protocol(), failed);
    if (!failed) acceptor->set_option(asio::socket_base::reuse_address(true), failed);
    if (!failed) acceptor->bind(endpoint, failed);
    if (!failed) acceptor->listen(4096, failed);
    if (failed) throw Error(ErrorCode::kIo, cat(options.address, ":", options.port, ": cannot be listened on: ", failed.message()));
  }

  void listen_on_unix(const std::string& path) {
    struct stat before {};
    if (::lstat(path.c_str(), &before) == 0 && S_ISSOCK(before.st_mode)) ::unlink(path.c_str());  // of a server that was killed
    error_code failed;
    local.emplace(io);
    local->open(Local(), failed);
    try {
      if (!failed) local->bind(Local::endpoint(path), failed);
    } catch (const boost::system::system_error& error) {
      failed = error.code();
    }
    if (!failed) local->listen(4096, failed);
    if (failed) throw Error(ErrorCode::kIo, cat(path, ": cannot be listened on: ", failed.message()));
  }
};

Server::Server(const ServerOptions& options) : impl_(std::make_unique<Impl>()) {
  impl_->shared->options = options;
  impl_->tls = tls_for(options);
  impl_->listen_on_tcp(options);
  if (!options.unix_socket.empty()) impl_->listen_on_unix(options.unix_socket);
}

void Server::start(Handler handler, std::function<void()> often, Gate gate, AccessLog* access_log) {
  impl_->shared->gate = std::move(gate);
  impl_->shared->access_log = access_log;
  impl_->shared->handler = std::move(handler);
  impl_->often = std::move(often);
  impl_->accept<TcpSocket>(*impl_->acceptor);
  if (impl_->local) impl_->accept<LocalSocket>(*impl_->local);
  impl_->tick();
  impl_->thread = std::thread([this] { impl_->run(); });
}

Server::~Server() {
  if (impl_->thread.joinable()) stop(std::chrono::milliseconds(0));
}

std::uint16_t Server::port() const { return impl_->acceptor->local_endpoint().port(); }

ServerStats Server::stats() const { return {impl_->shared->connections, impl_->shared->accepted, impl_->shared->requests}; }

void Server::stop(std::chrono::milliseconds limit) {
  if (!impl_->thread.joinable()) return;
  impl_->shared->draining = true;
  const auto closed = std::make_shared<std::promise<void>>();
  asio::post(impl_->io, [this, closed] {
    impl_->end<TcpSocket>(*impl_->acceptor);
    if (impl_->local) {
      impl_->end<LocalSocket>(*impl_->local);
      ::unlink(impl_->shared->options.unix_socket.c_str());
    }
    for (const auto& one : impl_->sessions) {
      if (const auto session = one.lock()) session->drain();
    }
    closed->set_value();
  });
  const auto end = std::chrono::steady_clock::now() + limit;
  closed->get_future().wait_for(std::max<std::chrono::milliseconds>(limit, kToClose));  // or nobody may be counted yet
  while (impl_->shared->connections > 0 && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  impl_->io.stop();
  impl_->thread.join();
  for (const auto& one : impl_->sessions) {
    if (const auto session = one.lock()) session->lose();
  }
}

}  // namespace portfire::http
