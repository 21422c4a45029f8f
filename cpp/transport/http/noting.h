#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "transport/access_log.h"

namespace portfire::http {

/// What a session notes of one request after another for the access log; does nothing where there is none. Of one thread.
class Noting {
 public:
  explicit Noting(AccessLog* log) : log_(log) {}

  /// Before a request's first byte.
  void clear() {
    access_ = nullptr;
    in_ = out_ = 0;
  }
  void begin(std::string_view method, std::string_view target, std::string_view id, std::string_view traceparent) {
    if (log_ == nullptr) return;
    access_ = std::make_unique<Access>();
    access_->method = method;
    access_->path = target.substr(0, target.find('?'));
    access_->request_id = id;
    access_->trace_id = trace_id_of(traceparent);
  }
  void in(std::size_t bytes) { in_ += bytes; }
  void out(std::size_t bytes) { out_ += bytes; }
  void status(int status) {
    if (access_ != nullptr) access_->status = status;
  }
  /// Of a request that was begun; what is not begun, or has ended, leaves no line.
  void end(bool complete) {
    if (access_ == nullptr) return;
    access_->complete = complete;
    access_->bytes_in = in_;
    access_->bytes_out = out_;
    log_->add(std::move(*access_));
    access_ = nullptr;
  }

  [[nodiscard]] Access* access() const { return access_.get(); }

 private:
  AccessLog* const log_;
  std::unique_ptr<Access> access_;
  std::uint64_t in_ = 0;
  std::uint64_t out_ = 0;
};

}  // namespace portfire::http
