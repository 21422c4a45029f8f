#include "transport/grpc/infer_call.h"

#include <memory>
#include <optional>
#include <utility>

#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>

#include "inference.pb.h"
#include "transport/grpc/admission.h"
#include "transport/grpc/infer.h"
#include "transport/grpc/tag.h"

namespace portfire::rpc {
namespace {

/// Calls that wait for a client: at least so many, and so many when nothing happens.
constexpr int kLeastArmed = 16;
constexpr int kArmed = 64;
constexpr const char* kMethod = "/inference.GRPCInferenceService/ModelInfer";

}  // namespace

/// A call of ModelInfer, and then the next. Used on the server's thread but for `reply` and `fail`.
class InferCall final : public Replies, public std::enable_shared_from_this<InferCall> {
 public:
  InferCall(InferService& service, const routes::Site& site, ::grpc::ServerCompletionQueue& queue) : service_(service), site_(site), queue_(queue) {}

  /// Waits for a client.
  void arm() {
    context_.emplace();
    writer_.emplace(&*context_);
    request_ = {};  // and what it held: a client may have sent much
    left_ = 2;
    ++service_.armed_;
    context_->AsyncNotifyWhenDone(gone_.tag());
    begun_.then([self = shared_from_this()](bool ok) { self->begin(ok); });
    service_.RequestAsyncUnary(0, &*context_, &request_, &*writer_, &queue_, &queue_, begun_.tag());
  }

  std::size_t reply(inference::ModelInferResponse& response, bool) override {
    if (access_ != nullptr) {
      access_->status = static_cast<int>(::grpc::StatusCode::OK);
      access_->bytes_out = response.ByteSizeLong();
    }
    writer_->Finish(response, ::grpc::Status::OK, finished_.tag());
    return 0;
  }
  void found(const serving::Served& served) override {
    if (access_ == nullptr) return;
    access_->model = served.name();
    access_->version = served.version();
  }
  void fail(const std::exception& failure) override { finish(status_for(failure)); }

 private:
  void begin(bool ok) {
    --service_.armed_;
    if (!ok) return;  // the server stops
    if (service_.armed_ < kLeastArmed) std::make_shared<InferCall>(service_, site_, queue_)->arm();
    access_ = noted(site_, *context_, kMethod);
    if (access_ != nullptr) access_->bytes_in = request_.ByteSizeLong();
    finished_.then([self = shared_from_this()](bool sent) {
      if (self->access_ != nullptr) self->access_->complete = sent;
      self->end();
    });
    gone_.then([self = shared_from_this()](bool) {
      if (self->context_->IsCancelled() && self->cancel_) self->cancel_();
      self->end();
    });
    if (const auto status = refused(site_, *context_, kMethod, access_.get())) return finish(*status);
    cancel_ = infer(site_, request_, context_->deadline(), shared_from_this(), false);
  }

  void finish(const ::grpc::Status& status) {
    if (access_ != nullptr) access_->status = static_cast<int>(status.error_code());
    writer_->FinishWithError(status, finished_.tag());
  }

  /// After the answer has gone and gRPC is done with the call.
  void end() {
    if (--left_ > 0) return;
    cancel_ = nullptr;
    if (access_ != nullptr) site_.access_log->add(std::move(*access_));
    access_ = nullptr;
    if (service_.armed_ < kArmed) arm();
  }

  InferService& service_;
  const routes::Site& site_;
  ::grpc::ServerCompletionQueue& queue_;
  std::optional<::grpc::ServerContext> context_;
  std::optional<::grpc::ServerAsyncResponseWriter<inference::ModelInferResponse>> writer_;
  inference::ModelInferRequest request_;
  Operation begun_;
  Operation finished_;
  Operation gone_;
  Cancel cancel_;
  std::unique_ptr<Access> access_;  ///< null where nothing is noted
  int left_ = 0;
};

InferService::InferService() {
  AddMethod(new ::grpc::internal::RpcServiceMethod(kMethod, ::grpc::internal::RpcMethod::NORMAL_RPC, nullptr));
  MarkMethodAsync(0);
}

void InferService::start(const routes::Site& site, ::grpc::ServerCompletionQueue& queue) {
  for (int k = 0; k < kArmed; ++k) std::make_shared<InferCall>(*this, site, queue)->arm();
}

}  // namespace portfire::rpc
