#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <google/protobuf/message.h>
#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>

#include "transport/access_log.h"
#include "transport/grpc/tag.h"

namespace portfire::rpc {

/// A call of any method: messages come, messages go, a status ends it. All but `write`, `finish` and `pending` are used on the
/// server's thread, and it calls on that thread; what comes after the client has gone is dropped. What it was given to call is
/// let go of when the call is over, so that it may refer to the stream.
class Stream : public std::enable_shared_from_this<Stream> {
 public:
  /// Takes a call that has come.
  using Handler = std::function<void(const std::shared_ptr<Stream>&)>;

  explicit Stream(::grpc::ServerCompletionQueue& queue) : queue_(queue), stream_(&context_) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Waits for a call and hands it over.
  void arm(::grpc::AsyncGenericService& service, Handler handler);

  [[nodiscard]] const ::grpc::ServerContextBase& context() const { return context_; }
  [[nodiscard]] const std::string& method() const { return context_.method(); }
  [[nodiscard]] std::chrono::system_clock::time_point deadline() const { return context_.deadline(); }

  /// `log` gets `access`, where that is not null, when the call is over.
  void note(std::unique_ptr<Access> access, AccessLog* log) {
    access_ = std::move(access);
    log_ = log;
  }
  [[nodiscard]] Access* access() const { return access_.get(); }

  /// The client's next message; false where there is none, or none of that type (then the call has been finished). One at a time;
  /// `message` must live until then.
  void read(google::protobuf::Message& message, std::function<void(bool has)> got);
  /// Called in that many milliseconds, or earlier where the client has gone. One at a time.
  void wait(std::chrono::milliseconds time, std::function<void()> then);
  /// `gone` is called once: where the client has gone before the call was finished.
  void on_gone(std::function<void()> gone) { told_when_gone_ = std::move(gone); }
  /// `drain` is called where the server wants the call to end.
  void on_drain(std::function<void()> drain) { told_to_drain_ = std::move(drain); }
  /// `written` is called after each message that has gone.
  void on_written(std::function<void()> written) { told_when_written_ = std::move(written); }
  void drain();

  /// Thread-safe, as the next two. Gives `pending()`.
  std::size_t write(const google::protobuf::Message& message);
  /// After all that was written. The first of several counts.
  void finish(::grpc::Status status);
  /// Bytes that were written and have not gone.
  [[nodiscard]] std::size_t pending() const;

 private:
  void done();
  void report(bool gone);
  /// Begins the next operation of writing; under the lock.
  void go_on();
  void written(bool ok);

  ::grpc::ServerCompletionQueue& queue_;
  ::grpc::GenericServerContext context_;
  ::grpc::GenericServerAsyncReaderWriter stream_;
  ::grpc::ByteBuffer incoming_;
  ::grpc::Alarm alarm_;
  Operation begun_;
  Operation read_;
  Operation write_;
  Operation wait_;
  Operation gone_;
  std::function<void()> told_when_gone_;
  std::function<void()> told_to_drain_;
  std::function<void()> told_when_written_;

  std::unique_ptr<Access> access_;  ///< null where nothing is noted
  AccessLog* log_ = nullptr;

  mutable std::mutex mutex_;
  std::deque<::grpc::ByteBuffer> outgoing_;  ///< the first is on its way while `writing_`
  std::size_t pending_ = 0;
  std::uint64_t written_ = 0;  ///< bytes, since the call began
  std::optional<::grpc::Status> status_;
  bool writing_ = false;
  bool finishing_ = false;
  bool over_ = false;
};

}  // namespace portfire::rpc
