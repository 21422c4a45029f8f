#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transport/access_log.h"

namespace portfire::http {

/// A request that has come in whole.
class Request {
 public:
  virtual ~Request() = default;

  [[nodiscard]] virtual std::string_view method() const = 0;  ///< "GET"
  [[nodiscard]] virtual std::string_view target() const = 0;  ///< as it came: "/v2/models/a?b=c"
  /// Nothing where it has none; names match in any case. The first of several.
  [[nodiscard]] virtual std::optional<std::string_view> header(std::string_view name) const = 0;
  /// Decompressed, with room for a parser that reads `kBodyPadding` bytes past its end.
  [[nodiscard]] virtual std::string& body() = 0;
  [[nodiscard]] virtual bool is_on_unix_socket() const { return false; }
  /// What will be logged of it; null where nothing is. To be changed on the server's thread, while it is handled.
  [[nodiscard]] virtual Access* access() const { return nullptr; }
};

inline constexpr std::size_t kBodyPadding = 64;

struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body{};
  std::vector<std::pair<std::string, std::string>> headers{};
};

/// What answers a request: once by `send`, or by `begin`, any number of `write` and `end`. From any thread; what comes after the
/// client has gone is dropped.
class Exchange {
 public:
  virtual ~Exchange() = default;

  [[nodiscard]] virtual const std::string& request_id() const = 0;
  virtual void send(Reply reply) = 0;
  /// The head of a reply whose body comes in parts; `head.body` is the first.
  virtual void begin(Reply head) = 0;
  /// Gives the bytes that the client has not taken yet, these included.
  virtual std::size_t write(std::string part) = 0;
  virtual void end() = 0;
  /// Told once when the client has gone before its reply was whole; at once where it has gone already.
  virtual void on_gone(std::function<void()> gone) = 0;
};

/// Looks at a request whose head has come, and gives the reply with which it is turned away without its body being read; nothing
/// where it may come in. Called as a `Handler` is.
using Gate = std::function<std::optional<Reply>(const Request& head)>;

/// Answers requests. Called on a thread of the server, which it must not hold up: what takes long goes elsewhere and answers
/// from there. The request lives until it is answered. What it throws becomes the reply.
using Handler = std::function<void(Request& request, const std::shared_ptr<Exchange>& exchange)>;

}  // namespace portfire::http
