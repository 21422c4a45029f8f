#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "transport/grpc/stream.h"
#include "transport/routes/router.h"

namespace portfire::rpc {

/// Methods by their path, "/package.Service/Method", with what takes their calls. Used on the server's thread.
class Methods {
 public:
  void add(const std::string& path, Stream::Handler handler) { handlers_[path] = std::move(handler); }

  /// A method of one request and one response, made at once. What `answer` throws becomes the status.
  template <typename Request, typename Response>
  void add_unary(const std::string& path, std::function<void(const Request&, Response&)> answer) {
    add_later<Request, Response>(path, [answer = std::move(answer)](std::shared_ptr<const Request> request, std::function<void(const Answer<Response>&)> send) {
      send([&](Response& response) { answer(*request, response); });
    });
  }

  /// What fills a response; what it throws becomes the status.
  template <typename Response>
  using Answer = std::function<void(Response&)>;

  /// The same where the response is made later, on any thread: `begin` sees to it that `send` is called.
  template <typename Request, typename Response>
  void add_later(const std::string& path, std::function<void(std::shared_ptr<const Request>, std::function<void(const Answer<Response>&)> send)> begin) {
    add(path, [begin = std::move(begin)](const std::shared_ptr<Stream>& stream) {
      auto request = std::make_shared<Request>();
      stream->read(*request, [stream, request, begin](bool has) {
        if (!has) return stream->finish({::grpc::StatusCode::INVALID_ARGUMENT, "the call has no message"});
        begin(request, [stream](const Answer<Response>& answer) {
          try {
            Response response;
            answer(response);
            stream->write(response);
            stream->finish(::grpc::Status::OK);
          } catch (const std::exception& failure) {
            stream->finish(status_for(failure));
          }
        });
      });
    });
  }

  /// Hands the call to its method, or finishes it with UNIMPLEMENTED.
  void take(const std::shared_ptr<Stream>& stream) const;

 private:
  std::map<std::string, Stream::Handler> handlers_;
};

/// The Open Inference Protocol and its extensions but for ModelInfer. What follows refers to `site`.
void add_open_inference(Methods& methods, const routes::Site& site);
/// ModelStreamInfer.
void add_stream_infer(Methods& methods, const routes::Site& site);
/// grpc.health.v1.Health.
void add_health(Methods& methods, const routes::Site& site);
/// grpc.reflection.v1 and v1alpha.
void add_reflection(Methods& methods);

}  // namespace portfire::rpc
