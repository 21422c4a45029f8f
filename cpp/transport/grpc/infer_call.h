#pragma once

#include <grpcpp/completion_queue.h>
#include <grpcpp/impl/service_type.h>

#include "transport/routes/router.h"

namespace portfire::rpc {

/// ModelInfer alone, as gRPC's generated code would register it: messages come read with the call, an operation fewer than
/// `Stream` needs. All other methods go there.
class InferService final : public ::grpc::Service {
 public:
  InferService();

  /// Answers calls from now on. `site` and the queue must outlive them.
  void start(const routes::Site& site, ::grpc::ServerCompletionQueue& queue);

 private:
  friend class InferCall;

  int armed_ = 0;  ///< calls that wait for a client; the server's thread's own
};

}  // namespace portfire::rpc
