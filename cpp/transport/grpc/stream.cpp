#include "transport/grpc/stream.h"

#include <utility>

#include <grpcpp/impl/codegen/proto_utils.h>

#include <portfire/error.h>

namespace portfire::rpc {

void Stream::arm(::grpc::AsyncGenericService& service, Handler handler) {
  context_.AsyncNotifyWhenDone(gone_.tag());
  begun_.then([self = shared_from_this(), handler = std::move(handler)](bool ok) {
    if (!ok) return;  // the server stops
    self->gone_.then([self](bool) { self->done(); });
    handler(self);
  });
  service.RequestCall(&context_, &stream_, &queue_, &queue_, begun_.tag());
}

void Stream::read(google::protobuf::Message& message, std::function<void(bool)> got) {
  read_.then([self = shared_from_this(), &message, got = std::move(got)](bool ok) {
    if (ok && self->access_ != nullptr) self->access_->bytes_in += self->incoming_.Length();
    if (ok && !::grpc::SerializationTraits<google::protobuf::Message>::Deserialize(&self->incoming_, &message).ok()) {
      self->finish(status_for(Error(ErrorCode::kInvalidInput, "the message is damaged, or of another type than the method takes")));
      ok = false;
    }
    got(ok);
  });
  stream_.Read(&incoming_, read_.tag());
}

void Stream::wait(std::chrono::milliseconds time, std::function<void()> then) {
  wait_.then([self = shared_from_this(), then = std::move(then)](bool) { then(); });
  alarm_.Set(&queue_, std::chrono::system_clock::now() + time, wait_.tag());
}

void Stream::drain() {
  if (told_to_drain_) told_to_drain_();
}

void Stream::done() {
  bool gone = false;
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    gone = context_.IsCancelled();
    if (!writing_) outgoing_.clear();
  }
  report(gone);
  alarm_.Cancel();
  const auto told = std::exchange(told_when_gone_, nullptr);
  told_to_drain_ = nullptr;
  told_when_written_ = nullptr;
  if (gone && told) told();
}

void Stream::report(bool gone) {
  if (access_ == nullptr) return;
  {
    const std::lock_guard lock(mutex_);
    if (status_) access_->status = static_cast<int>(status_->error_code());
    access_->bytes_out = written_;
  }
  access_->complete = !gone;
  log_->add(std::move(*access_));
  access_ = nullptr;
}

std::size_t Stream::write(const google::protobuf::Message& message) {
  ::grpc::ByteBuffer buffer;
  bool own = false;
  const ::grpc::Status made = ::grpc::SerializationTraits<google::protobuf::Message>::Serialize(message, &buffer, &own);
  if (!made.ok()) {
    finish(made);
    return 0;
  }
  const std::lock_guard lock(mutex_);
  if (over_ || status_) return 0;
  pending_ += buffer.Length();
  written_ += buffer.Length();
  outgoing_.push_back(std::move(buffer));
  go_on();
  return pending_;
}

void Stream::finish(::grpc::Status status) {
  const std::lock_guard lock(mutex_);
  if (over_ || status_) return;
  status_ = std::move(status);
  go_on();
}

std::size_t Stream::pending() const {
  const std::lock_guard lock(mutex_);
  return pending_;
}

void Stream::go_on() {
  if (writing_ || finishing_) return;
  if (!outgoing_.empty()) {
    writing_ = true;
    write_.then([self = shared_from_this()](bool ok) { self->written(ok); });
    if (status_ && outgoing_.size() == 1) {
      finishing_ = true;
      stream_.WriteAndFinish(outgoing_.front(), ::grpc::WriteOptions(), *status_, write_.tag());
    } else {
      stream_.Write(outgoing_.front(), write_.tag());
    }
  } else if (status_) {
    finishing_ = true;
    write_.then([self = shared_from_this()](bool) {});
    stream_.Finish(*status_, write_.tag());
  }
}

void Stream::written(bool ok) {
  {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    pending_ -= outgoing_.front().Length();
    outgoing_.pop_front();
    over_ = over_ || !ok;
    if (over_) {
      outgoing_.clear();
    } else {
      go_on();
    }
  }
  if (ok && told_when_written_) told_when_written_();
}

}  // namespace portfire::rpc
