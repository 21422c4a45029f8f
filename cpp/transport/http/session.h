#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include "transport/http/compression.h"
#include "transport/http/head.h"
#include "transport/http/noting.h"
#include "transport/http/shared.h"

namespace portfire::http {

namespace beast = boost::beast;

/// One connection: reads a request, has it answered, reads the next. All members are used on the server's thread but for those
/// of `Exchange`, which post to it.
template <typename Stream>
class Session final : public Exchange, public AnySession, public Request, public std::enable_shared_from_this<Session<Stream>> {
 public:
  template <typename... Args>
  explicit Session(std::shared_ptr<Shared> shared, Args&&... stream)
      : shared_(std::move(shared)), stream_(std::forward<Args>(stream)...), buffer_(kMostRead + 2 * std::size_t{shared_->options.max_header}), noting_(shared_->access_log) {
    shared_->connections.fetch_add(1, std::memory_order_relaxed);
  }
  ~Session() override { shared_->connections.fetch_sub(1, std::memory_order_relaxed); }

  void start() {
    if constexpr (kSecure) {
      expire_after(shared_->options.body_time);
      stream_.async_handshake(asio::ssl::stream_base::server, [self = self()](error_code error) {
        if (!error) self->read();
      });
    } else {
      read();
    }
  }

  void drain() override {
    if (!answering_ && !has_begun()) close();
  }

  void tick(SteadyTime now) override {
    if (now > deadline_) return reading_ && has_begun() ? give_up_reading() : lose();
    if (answering_ && std::exchange(is_watched_, true)) watch();  // not before it has waited for a tick
  }

  // Request
  [[nodiscard]] std::string_view method() const override { return view(parser_->get().method_string()); }
  [[nodiscard]] std::string_view target() const override { return view(parser_->get().target()); }
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const override {
    const auto found = parser_->get().find(beast::string_view(name.data(), name.size()));
    if (found == parser_->get().end()) return std::nullopt;
    return view(found->value());
  }
  [[nodiscard]] std::string& body() override { return parser_->get().body(); }
  [[nodiscard]] Access* access() const override { return noting_.access(); }
  [[nodiscard]] bool is_on_unix_socket() const override { return std::is_same_v<Stream, LocalSocket>; }

  // Exchange
  [[nodiscard]] const std::string& request_id() const override { return id_; }

  void send(Reply reply) override {
    on_thread([reply = std::move(reply)](Session& self) mutable { self.answer(std::move(reply)); });
  }
  void begin(Reply head) override {
    on_thread([head = std::move(head)](Session& self) mutable { self.begin_parts(std::move(head)); });
  }
  std::size_t write(std::string part) override {
    const std::size_t pending = pending_.fetch_add(part.size()) + part.size();
    on_thread([part = std::move(part)](Session& self) mutable { self.add_part(std::move(part)); });
    return pending;
  }
  void end() override {
    on_thread([](Session& self) { self.end_parts(); });
  }
  void on_gone(std::function<void()> gone) override {
    on_thread([gone = std::move(gone)](Session& self) mutable {
      if (self.gone_) return gone();
      self.told_when_gone_ = std::move(gone);
    });
  }

 private:
  static constexpr bool kSecure = std::is_same_v<Stream, SecureSocket>;
  static constexpr std::chrono::seconds kLinger{2};       ///< for another byte of what is thrown away
  static constexpr std::chrono::seconds kLongestLinger{30};
  static constexpr std::size_t kThrownAway = 65536;
  static constexpr std::size_t kFirstRead = 4096;         ///< Beast reads no more at once than there is room for
  static constexpr std::size_t kMostRead = 65536;
  static constexpr std::size_t kMostTrusted = 1 << 20;    ///< of the length of a body that has not come yet
  using Parser = beast::http::request_parser<beast::http::string_body>;

  auto self() { return this->shared_from_this(); }
  auto& socket() {
    if constexpr (kSecure) {
      return stream_.next_layer();
    } else {
      return stream_;
    }
  }
  void expire_after(std::chrono::seconds time) { deadline_ = std::chrono::steady_clock::now() + time; }
  void expire_never() { deadline_ = SteadyTime::max(); }

  template <typename Do>
  void on_thread(Do what) {
    asio::dispatch(socket().get_executor(), [self = self(), number = request_number_.load(), what = std::move(what)]() mutable {
      if (self->request_number_ == number) what(*self);  // else the request that it answers is over
    });
  }

  void read() {
    gone_ = answering_ = late_ = false;
    id_.clear();
    noting_.clear();
    parser_.reset();
    if (shared_->draining && !has_begun()) return close();
    if (payload_.capacity() > kMostRead) payload_ = {};
    if (buffer_.size() == 0 && buffer_.capacity() > kFirstRead) buffer_.shrink_to_fit();
    buffer_.reserve(kFirstRead);
    parser_.emplace();
    parser_->header_limit(shared_->options.max_header);
    parser_->body_limit(shared_->options.max_body);
    expire_after(shared_->options.idle_time);
    reading_ = true;
    beast::http::async_read_header(stream_, buffer_, *parser_, [self = self()](error_code error, std::size_t bytes) { self->on_head(error, bytes); });
  }

  void on_head(error_code error, std::size_t bytes) {
    noting_.in(bytes);
    if (error) return refuse(late_ ? 408 : status_for(error));
    if (const int status = bytes > shared_->options.max_header ? 431 : status_for_framing(parser_->get(), parser_->get().version())) return refuse(status);
    take_head();
    if (std::optional<Reply> reply = turned_away()) {
      keeps_ = keeps_ && parser_->is_done();  // else its body would be read as the next request
      begin_answer();
      return answer(std::move(*reply));
    }
    if (waits_to_go_on(header("Expect"))) {
      asio::async_write(stream_, asio::buffer(kGoOn.data(), kGoOn.size()), [self = self()](error_code failed, std::size_t) {
        if (!failed) self->read_body();
      });
      return;
    }
    read_body();
  }

  void read_body() {
    if (parser_->is_done()) return on_request();
    const std::uint64_t announced = parser_->content_length() ? *parser_->content_length() : 0;
    parser_->get().body().reserve(std::min<std::uint64_t>(announced, kMostTrusted) + kBodyPadding);
    if (announced > kFirstRead || parser_->chunked()) buffer_.reserve(kMostRead);
    expire_after(shared_->options.body_time + std::chrono::seconds(announced >> 16));
    beast::http::async_read(stream_, buffer_, *parser_, [self = self()](error_code error, std::size_t bytes) {
      self->noting_.in(bytes);
      if (error) return self->refuse(self->late_ ? 408 : status_for(error));
      self->on_request();
    });
  }

  /// What any reply to the request depends on.
  void take_head() {
    shared_->requests.fetch_add(1, std::memory_order_relaxed);
    keeps_ = parser_->get().keep_alive();
    is_head_ = parser_->get().method() == beast::http::verb::head;
    is_old_ = parser_->get().version() < 11;
    id_ = id_for(header("X-Request-Id"));
    compression_ = Compression::kNone;
    noting_.begin(method(), target(), id_, parser_->get().count("traceparent") == 1 ? *header("traceparent") : "");
  }

  [[nodiscard]] std::optional<Reply> turned_away() {
    try {
      return shared_->gate ? shared_->gate(*this) : std::nullopt;
    } catch (const std::exception& failure) {
      return reply_for(failure);
    }
  }

  void begin_answer() {
    reading_ = false;
    answering_ = true;
  }

  /// Ends the reading that goes on, for there is not enough in time.
  void give_up_reading() {
    late_ = true;
    expire_after(shared_->options.write_time);
    error_code ignored;
    socket().cancel(ignored);
  }

  void on_request() {
    expire_never();
    begin_answer();
    answered_by_others_ = self();
    try {
      const auto encoding = header("Content-Encoding");
      if (encoding) body() = decompressed(body(), *encoding, shared_->options.max_body);
      const auto accepted = header("Accept-Encoding");
      compression_ = accepted ? chosen(*accepted) : Compression::kNone;
      body().reserve(body().size() + kBodyPadding);
      shared_->handler(*this, self());
    } catch (const std::exception& failure) {
      send(reply_for(failure));
    }
  }

  /// What could not be read, answered where somebody may still listen.
  void refuse(int status) {
    if (status == 0) return close();
    keeps_ = false;
    if (id_.empty()) {  // not even its head could be read
      is_head_ = is_old_ = false;
      id_ = id_for(std::nullopt);
      noting_.begin("", "", id_, "");
    }
    compression_ = Compression::kNone;
    begin_answer();
    answer(refusal(status, shared_->options));
  }

  void answer(Reply reply) {
    if (parts_begun_) return;
    keeps_ = keeps_ && !shared_->draining;
    if (!is_old_ || keeps_) compress(reply, compression_);
    noting_.status(reply.status);
    head_ = head_of(reply, reply.body.size(), id_, keeps_, is_old_);
    payload_ = is_head_ ? std::string() : std::move(reply.body);
    expire_after(shared_->options.write_time + std::chrono::seconds(payload_.size() >> 16));
    const std::array<asio::const_buffer, 2> both{asio::buffer(head_), asio::buffer(payload_)};
    asio::async_write(stream_, both, [self = self()](error_code error, std::size_t bytes) { self->on_sent(error, bytes); });
  }

  void on_sent(error_code error, std::size_t bytes) {
    noting_.out(bytes);
    noting_.end(!error);
    end_request();
    if (error) return close();
    if (!keeps_) return linger();
    read();
  }

  /// What else the client sends is taken and thrown away for a while: to close before would make the client's machine throw
  /// away the reply.
  void linger() {
    error_code ignored;
    socket().shutdown(asio::socket_base::shutdown_send, ignored);
    linger_until_ = std::chrono::steady_clock::now() + kLongestLinger;
    throw_away();
  }
  void throw_away() {
    if (std::chrono::steady_clock::now() > linger_until_) return close();
    payload_.resize(kThrownAway);
    expire_after(kLinger);
    socket().async_read_some(asio::buffer(payload_), [self = self()](error_code error, std::size_t) {
      if (error) return self->close();
      self->throw_away();
    });
  }

  void begin_parts(Reply head) {
    parts_begun_ = true;
    noting_.status(head.status);
    if (is_old_) keeps_ = false;  // HTTP/1.0 has no chunks: the end of the connection is the end of the body
    keeps_ = keeps_ && !shared_->draining;
    outgoing_ = head_of(head, std::nullopt, id_, keeps_, is_old_);
    if (!head.body.empty()) outgoing_ += chunk(head.body);
    send_parts();
  }

  void add_part(std::string part) {
    if (gone_ || part.empty()) return;
    given_ += part.size();
    outgoing_ += chunk(part);
    send_parts();
  }

  void end_parts() {
    ended_ = true;
    if (!is_old_) outgoing_ += "0\r\n\r\n";
    send_parts();
  }

  [[nodiscard]] std::string chunk(const std::string& part) const { return is_old_ ? part : chunk_of(part); }

  void send_parts() {
    if (sending_ || gone_) return;
    if (outgoing_.empty()) {
      if (ended_) on_sent({}, 0);
      return;
    }
    sending_ = true;
    payload_ = std::exchange(outgoing_, {});
    const std::size_t parts = std::exchange(given_, 0);
    expire_after(shared_->options.write_time);
    asio::async_write(stream_, asio::buffer(payload_), [self = self(), parts](error_code error, std::size_t bytes) {
      self->noting_.out(bytes);
      self->sending_ = false;
      self->pending_ -= parts;
      if (error) return self->lose();
      self->expire_never();
      self->send_parts();
    });
  }

  /// Waits for the client to go while its request is answered. Bytes of a next request end the watch: who sends is there.
  void watch() {
    if (watching_) return;
    watching_ = true;
    socket().async_wait(asio::socket_base::wait_read, [self = self(), number = request_number_.load()](error_code error) {
      self->watching_ = false;
      if (error || self->request_number_ != number || !self->answering_) return;
      char byte = 0;
      error_code failed;
      self->socket().non_blocking(true, failed);
      const std::size_t got = self->socket().receive(asio::buffer(&byte, 1), asio::socket_base::message_peek, failed);
      if (got == 0 && failed != asio::error::would_block) self->lose();
    });
  }

  void lose() override {
    gone_ = true;
    if (told_when_gone_) std::exchange(told_when_gone_, nullptr)();
    close();
    answered_by_others_ = nullptr;
  }

  void end_request() {
    ++request_number_;
    answered_by_others_ = nullptr;
    told_when_gone_ = nullptr;
    is_watched_ = false;
    parts_begun_ = false;
    ended_ = false;
    outgoing_.clear();
    given_ = 0;
    pending_ = 0;
  }

  /// True where bytes of a request have come, read or not.
  [[nodiscard]] bool has_begun() {
    error_code failed;
    return (parser_ && parser_->got_some()) || buffer_.size() > 0 || socket().available(failed) > 0;
  }

  void close() {
    noting_.end(false);
    error_code ignored;
    socket().shutdown(asio::socket_base::shutdown_send, ignored);
    socket().close(ignored);
    expire_never();
  }

  const std::shared_ptr<Shared> shared_;
  Stream stream_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::string id_;
  Noting noting_;
  std::string head_;
  std::string payload_;
  std::string outgoing_;  ///< parts that wait for those being sent
  std::function<void()> told_when_gone_;
  std::shared_ptr<Session> answered_by_others_;  ///< this, while nothing here waits but for an answer
  Compression compression_ = Compression::kNone;
  std::atomic<std::uint64_t> request_number_{0};
  std::atomic<std::size_t> pending_{0};  ///< bytes of parts, given but not taken by the client's machine
  std::size_t given_ = 0;                ///< of them, those in `outgoing_`
  std::chrono::steady_clock::time_point linger_until_{};
  bool keeps_ = false;
  bool is_head_ = false;
  bool is_old_ = false;
  bool reading_ = false;  ///< a request, or waits for one
  bool late_ = false;     ///< it did not come in time
  bool answering_ = false;
  bool parts_begun_ = false;
  bool sending_ = false, ended_ = false;
  bool gone_ = false;
  bool watching_ = false;
  bool is_watched_ = false;
  SteadyTime deadline_ = SteadyTime::max();
};

}  // namespace portfire::http
