#include <memory>

#include "core/text.h"
#include "health.pb.h"
#include "transport/grpc/methods.h"

namespace portfire::rpc {
namespace {

using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;

/// How often what is watched is looked at.
constexpr std::chrono::milliseconds kLook{250};

HealthCheckResponse::ServingStatus status_of(const routes::Site& site, const std::string& service) {
  if (!service.empty() && service != "inference.GRPCInferenceService") return HealthCheckResponse::SERVICE_UNKNOWN;
  return site.repository.settled() && !(site.stopping && site.stopping()) ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

/// Says how it is, and then whenever that has changed.
class Watch : public std::enable_shared_from_this<Watch> {
 public:
  Watch(const routes::Site& site, std::shared_ptr<Stream> stream) : site_(site), stream_(std::move(stream)) {}

  void start() {
    stream_->read(request_, [self = shared_from_this()](bool has) {
      if (!has) return self->stream_->finish({::grpc::StatusCode::INVALID_ARGUMENT, "the call has no message"});
      self->stream_->on_gone([self] { self->over_ = true; });
      self->stream_->on_drain([self] {
        self->say();
        self->over_ = true;
        self->stream_->finish({::grpc::StatusCode::UNAVAILABLE, "the server is stopping"});
      });
      self->look();
    });
  }

 private:
  void look() {
    if (over_) return;
    say();
    stream_->wait(kLook, [self = shared_from_this()] { self->look(); });
  }

  void say() {
    HealthCheckResponse response;
    response.set_status(status_of(site_, request_.service()));
    if (response.status() == last_) return;
    last_ = response.status();
    stream_->write(response);
  }

  const routes::Site& site_;
  const std::shared_ptr<Stream> stream_;
  HealthCheckRequest request_;
  HealthCheckResponse::ServingStatus last_ = HealthCheckResponse::UNKNOWN;
  bool over_ = false;
};

}  // namespace

void add_health(Methods& methods, const routes::Site& site) {
  methods.add_unary<HealthCheckRequest, HealthCheckResponse>("/grpc.health.v1.Health/Check", [&site](const auto& request, auto& response) {
    const auto status = status_of(site, request.service());
    if (status == HealthCheckResponse::SERVICE_UNKNOWN) throw Error(ErrorCode::kNotFound, cat("there is no service ", quoted(request.service())));
    response.set_status(status);
  });
  methods.add("/grpc.health.v1.Health/Watch", [&site](const std::shared_ptr<Stream>& stream) { std::make_shared<Watch>(site, stream)->start(); });
}

}  // namespace portfire::rpc
