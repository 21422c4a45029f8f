#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>

#include "inference.pb.h"
#include "transport/routes/router.h"

namespace portfire::rpc {

/// Who is answered. Called from any thread, one call at a time.
class Replies {
 public:
  virtual ~Replies() = default;
  /// One of the responses; the last one where `is_last`. Gives the bytes that the client has not taken yet, as far as it knows.
  virtual std::size_t reply(inference::ModelInferResponse& response, bool is_last) = 0;
  /// Told, on the thread that begins the request, which version answers it.
  virtual void found(const serving::Served&) {}
  /// Instead of the last response.
  virtual void fail(const std::exception& failure) = 0;
};

/// Something that runs and may be ended early: nobody waits for it any more. Thread-safe; an empty one does nothing.
using Cancel = std::function<void()>;

/// Of a request: "" is the newest. Throws kNotFound on what is no version.
std::int64_t version_of(const std::string& text);

/// Begins what `request` asks for; `replies` is told what comes of it, also on the calling thread. Of a text there is a response
/// for each part where `in_parts`, else one. Not begun after `deadline`. Does not throw, and keeps no reference to `request`.
Cancel infer(const routes::Site& site, inference::ModelInferRequest& request, std::chrono::system_clock::time_point deadline,
             const std::shared_ptr<Replies>& replies, bool in_parts);

}  // namespace portfire::rpc
