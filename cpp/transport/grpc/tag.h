#pragma once

#include <exception>
#include <functional>
#include <utility>

#include <grpcpp/support/status.h>
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#include <portfire/error.h>

namespace portfire::rpc {

/// What a completion queue gives back when an operation has ended; called on the server's thread.
class Tag {
 public:
  virtual ~Tag() = default;
  virtual void ended(bool ok) = 0;
};

/// An operation that may be begun again once it has ended. What it calls keeps its owner alive until then.
class Operation final : public Tag {
 public:
  Operation& then(std::function<void(bool ok)> next) {
    next_ = std::move(next);
    return *this;
  }
  /// What gRPC is given, to give it back at the end. What was done before comes before that: ThreadSanitizer is told, for it does
  /// not see how gRPC hands over.
  [[nodiscard]] void* tag() noexcept {
#if defined(__SANITIZE_THREAD__)
    __tsan_release(this);
#endif
    return static_cast<Tag*>(this);
  }
  void ended(bool ok) override {
#if defined(__SANITIZE_THREAD__)
    __tsan_acquire(this);
#endif
    std::exchange(next_, nullptr)(ok);
  }

 private:
  std::function<void(bool)> next_;
};

/// The row of the table in core/error.cpp.
inline ::grpc::Status status_for(const std::exception& failure) {
  const auto* error = dynamic_cast<const Error*>(&failure);
  const ErrorCode code = error == nullptr ? ErrorCode::kInternal : error->code();
  return {static_cast<::grpc::StatusCode>(info_of(code).grpc_status), failure.what()};
}

}  // namespace portfire::rpc
