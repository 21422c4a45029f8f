#include "transport/grpc/server.h"

#include <fstream>
#include <iterator>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <grpc/support/log.h>
#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <portfire/error.h>

#include "core/text.h"
#include "transport/grpc/admission.h"
#include "transport/grpc/infer_call.h"
#include "transport/grpc/methods.h"

namespace portfire::rpc {
namespace {

/// Calls of other methods that wait for a client.
constexpr int kArmed = 16;
/// Whether a client that says nothing is still there; and how often clients may ask that of the server.
constexpr int kKeepaliveMs = 60'000;
constexpr int kKeepaliveTimeoutMs = 20'000;
constexpr int kLeastPingMs = 10'000;
/// Beside the contents: names, shapes, parameters.
constexpr std::size_t kEnvelope = 64 << 10;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorCode::kInvalidArgument, cat(path, ": cannot be read"));
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Throws kInvalidArgument.
std::shared_ptr<::grpc::ServerCredentials> credentials_for(const http::ServerOptions& options) {
  if (options.certificate.empty()) return ::grpc::InsecureServerCredentials();
  ::grpc::SslServerCredentialsOptions tls;
  tls.pem_key_cert_pairs.push_back({read_file(options.private_key), read_file(options.certificate)});
  if (!options.client_authority.empty()) {
    tls.pem_root_certs = read_file(options.client_authority);
    tls.client_certificate_request = GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
  }
  return ::grpc::SslServerCredentials(tls);
}

/// What gRPC would write to standard error: a status says it, or our own errors do.
void drop_log(gpr_log_func_args*) {}

}  // namespace

bool is_built() noexcept { return true; }

struct Server::Impl {
  ::grpc::AsyncGenericService generic;
  InferService infer;
  int port = 0;
  std::unique_ptr<::grpc::ServerCompletionQueue> queue;
  std::unique_ptr<::grpc::Server> server;
  std::optional<routes::Site> site;
  Methods methods;
  std::vector<std::weak_ptr<Stream>> streams;  ///< the thread's own
  ::grpc::Alarm alarm;
  ::grpc::Alarm last_alarm;
  Operation drain;
  Operation last;
  bool stopped = false;
  std::thread thread;

  void arm() {
    auto stream = std::make_shared<Stream>(*queue);
    stream->arm(generic, [this](const std::shared_ptr<Stream>& taken) {
      arm();
      if (streams.size() >= streams_before_look) {
        std::erase_if(streams, [](const auto& one) { return one.expired(); });
        streams_before_look = 2 * streams.size() + 64;
      }
      streams.push_back(taken);
      taken->note(noted(*site, taken->context(), taken->method()), site->access_log);
      if (const auto status = refused(*site, taken->context(), taken->method(), taken->access())) return taken->finish(*status);
      methods.take(taken);
    });
  }
  std::size_t streams_before_look = 64;

  void work() {
    void* tag = nullptr;
    bool ok = false;
    while (queue->Next(&tag, &ok)) static_cast<Tag*>(tag)->ended(ok);
  }
};

Server::Server(const http::ServerOptions& options, std::uint16_t port) : impl_(std::make_unique<Impl>()) {
  gpr_set_log_function(drop_log);
  ::grpc::ServerBuilder builder;
  const bool is_v6 = options.address.find(':') != std::string::npos;
  const std::string address = is_v6 ? cat('[', options.address, "]:", port) : cat(options.address, ':', port);
  builder.AddListeningPort(address, credentials_for(options), &impl_->port);
  builder.RegisterService(&impl_->infer);
  builder.RegisterAsyncGenericService(&impl_->generic);
  builder.SetMaxReceiveMessageSize(static_cast<int>(std::min<std::size_t>(options.max_body + kEnvelope, std::numeric_limits<int>::max())));
  builder.SetMaxSendMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // else two servers would share a port, each with some of the calls
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kLeastPingMs);
  impl_->queue = builder.AddCompletionQueue();
  impl_->server = builder.BuildAndStart();
  if (impl_->server == nullptr || impl_->port == 0) {
    if (impl_->server != nullptr) impl_->server->Shutdown();
    impl_->queue->Shutdown();
    impl_->work();
    throw Error(ErrorCode::kIo, cat(address, ": cannot be listened on for gRPC: the port is taken or the address is not this machine's", options.certificate.empty() ? "" : ", or the certificate and its key do not go together"));
  }
}

void Server::start(const routes::Site& site) {
  impl_->site.emplace(site);
  add_open_inference(impl_->methods, *impl_->site);
  add_stream_infer(impl_->methods, *impl_->site);
  add_health(impl_->methods, *impl_->site);
  add_reflection(impl_->methods);
  impl_->infer.start(*impl_->site, *impl_->queue);
  for (int k = 0; k < kArmed; ++k) impl_->arm();
  impl_->thread = std::thread([this] { impl_->work(); });
}

Server::~Server() {
  if (impl_->server == nullptr) return;
  stop(std::chrono::milliseconds(0));
  if (!impl_->thread.joinable()) {
    impl_->queue->Shutdown();
    impl_->work();
    return;
  }
  // On its thread, which may be about to begin an operation: a queue that has been shut down would end the process for it.
  impl_->last.then([this](bool) { impl_->queue->Shutdown(); });
  impl_->last_alarm.Set(impl_->queue.get(), std::chrono::system_clock::now(), impl_->last.tag());
  impl_->thread.join();
}

std::uint16_t Server::port() const { return static_cast<std::uint16_t>(impl_->port); }

void Server::stop(std::chrono::milliseconds limit) {
  if (std::exchange(impl_->stopped, true)) return;
  impl_->drain.then([this](bool) {
    for (const auto& one : impl_->streams) {
      if (const auto stream = one.lock()) stream->drain();
    }
  });
  impl_->alarm.Set(impl_->queue.get(), std::chrono::system_clock::now(), impl_->drain.tag());
  impl_->server->Shutdown(std::chrono::system_clock::now() + limit);
}

}  // namespace portfire::rpc
