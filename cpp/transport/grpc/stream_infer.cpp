#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "inference.pb.h"
#include "transport/grpc/infer.h"
#include "transport/grpc/methods.h"

namespace portfire::rpc {
namespace {

using inference::ModelInferRequest;
using inference::ModelStreamInferResponse;

/// Requests of one stream that run or wait for those before them; more are not read yet.
constexpr std::size_t kMostRequests = 32;
/// Of responses that the client has not taken; more requests are not read then.
constexpr std::size_t kMostPending = 4 << 20;

class InferStream;

/// What came of one request, in the order in which it came.
class StreamReplies final : public Replies {
 public:
  StreamReplies(std::shared_ptr<InferStream> stream, std::string id) : stream_(std::move(stream)), id_(std::move(id)) {}

  std::size_t reply(inference::ModelInferResponse& response, bool is_last) override;
  void found(const serving::Served& served) override;
  void fail(const std::exception& failure) override;

 private:
  friend class InferStream;

  std::size_t add(ModelStreamInferResponse response, bool is_last);

  const std::shared_ptr<InferStream> stream_;
  const std::string id_;
  std::vector<ModelStreamInferResponse> waiting_;  ///< for the requests before, as what follows under the stream's lock
  std::size_t waiting_bytes_ = 0;
  bool complete_ = false;
};

/// Requests that run side by side and are answered one after another.
class InferStream : public std::enable_shared_from_this<InferStream> {
 public:
  InferStream(const routes::Site& site, std::shared_ptr<Stream> stream) : site_(site), stream_(std::move(stream)) {}

  void start() {
    stream_->on_gone([self = shared_from_this()] { self->cancel(); });
    stream_->on_written([self = shared_from_this()] { self->read(); });
    stream_->on_drain([self = shared_from_this()] {
      self->draining_ = true;
      self->end_if_done();
    });
    read();
  }

 private:
  friend class StreamReplies;

  struct Running {
    std::shared_ptr<StreamReplies> replies;
    Cancel cancel;
  };

  /// The next request, unless one is being read or there are enough.
  void read() {
    if (reading_ || ended_ || draining_ || stream_->pending() > kMostPending) return;
    {
      const std::lock_guard lock(mutex_);
      if (running_.size() >= kMostRequests) return;
    }
    reading_ = true;
    request_.Clear();
    stream_->read(request_, [self = shared_from_this()](bool has) {
      self->reading_ = false;
      if (has) {
        self->begin();
        return self->read();
      }
      self->ended_ = true;
      self->end_if_done();
    });
  }

  void begin() {
    const auto replies = std::make_shared<StreamReplies>(shared_from_this(), request_.id());
    {
      const std::lock_guard lock(mutex_);
      running_.push_back({replies, {}});
    }
    Cancel cancel = infer(site_, request_, stream_->deadline(), replies, true);
    const std::lock_guard lock(mutex_);
    if (!running_.empty() && running_.back().replies == replies) running_.back().cancel = std::move(cancel);
  }

  void end_if_done() {
    const std::lock_guard lock(mutex_);
    if (!running_.empty()) return;
    if (draining_) return stream_->finish({::grpc::StatusCode::UNAVAILABLE, "the server is stopping"});
    if (ended_) stream_->finish(::grpc::Status::OK);
  }

  void cancel() {
    std::deque<Running> all;
    {
      const std::lock_guard lock(mutex_);
      all = running_;
    }
    for (const Running& one : all) {
      if (one.cancel) one.cancel();
    }
  }

  /// Lets go of the first that are complete and writes what those behind them have; under the lock.
  void go_on() {
    while (!running_.empty() && running_.front().replies->complete_) {
      running_.pop_front();
      if (running_.empty()) break;
      StreamReplies& next = *running_.front().replies;
      for (const ModelStreamInferResponse& response : next.waiting_) stream_->write(response);
      next.waiting_.clear();
    }
    if (running_.empty() && draining_) return stream_->finish({::grpc::StatusCode::UNAVAILABLE, "the server is stopping"});
    if (running_.empty() && ended_) stream_->finish(::grpc::Status::OK);
  }

  const routes::Site& site_;
  const std::shared_ptr<Stream> stream_;
  ModelInferRequest request_;   ///< the server's thread's, as the next
  bool reading_ = false;
  std::atomic<bool> ended_ = false;  ///< the client sends no more
  std::atomic<bool> draining_ = false;
  std::mutex mutex_;
  std::deque<Running> running_;  ///< in the order of the requests
};

std::size_t StreamReplies::reply(inference::ModelInferResponse& response, bool is_last) {
  ModelStreamInferResponse wrapped;
  (*response.mutable_parameters())["triton_final_response"].set_bool_param(is_last);
  *wrapped.mutable_infer_response() = std::move(response);
  return add(std::move(wrapped), is_last);
}

/// Of the stream's first request; the others may be of other models.
void StreamReplies::found(const serving::Served& served) {
  Access* const access = stream_->stream_->access();
  if (access == nullptr || !access->model.empty()) return;
  access->model = served.name();
  access->version = served.version();
}

void StreamReplies::fail(const std::exception& failure) {
  ModelStreamInferResponse response;
  response.set_error_message(failure.what());
  response.mutable_infer_response()->set_id(id_);
  add(std::move(response), true);
}

std::size_t StreamReplies::add(ModelStreamInferResponse response, bool is_last) {
  const std::lock_guard lock(stream_->mutex_);
  if (complete_ || stream_->running_.empty()) return 0;
  std::size_t pending = 0;
  if (stream_->running_.front().replies.get() == this) {
    pending = stream_->stream_->write(response);
  } else {
    waiting_bytes_ += response.ByteSizeLong();
    pending = waiting_bytes_;
    waiting_.push_back(std::move(response));
  }
  complete_ = is_last;
  const std::shared_ptr<InferStream> stream = stream_;  // this may go with the list
  if (is_last) stream->go_on();
  return pending;
}

}  // namespace

void add_stream_infer(Methods& methods, const routes::Site& site) {
  methods.add("/inference.GRPCInferenceService/ModelStreamInfer",
              [&site](const std::shared_ptr<Stream>& stream) { std::make_shared<InferStream>(site, stream)->start(); });
}

}  // namespace portfire::rpc
