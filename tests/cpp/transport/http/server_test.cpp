#include "transport/http/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include <portfire/error.h>

#include "../../archive/expect_error.h"
#include "client.h"

namespace portfire::http {
namespace {

using test::Client;
using test::expect_error;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using namespace std::chrono_literals;

/// Says what it was asked: "METHOD target body". Targets with a meaning: /later answers from another thread when it is told to,
/// /parts sends its body in parts, /throw throws.
class Echo {
 public:
  explicit Echo(ServerOptions options = {}) : server(free_port(options)) {
    server.start([this](Request& request, const std::shared_ptr<Exchange>& exchange) { handle(request, exchange); });
  }
  static ServerOptions free_port(ServerOptions options) {
    options.port = 0;
    return options;
  }
  ~Echo() { server.stop(10s); }

  void handle(Request& request, const std::shared_ptr<Exchange>& exchange) {
    const std::string body = std::string(request.method()) + " " + std::string(request.target()) + " " + request.body();
    if (request.target() == "/throw") throw Error(ErrorCode::kNotFound, "thrown");
    if (request.target() == "/parts") {
      exchange->begin({.content_type = "text/plain", .body = "first,"});
      exchange->write("second,");
      exchange->write("");
      exchange->write(body);
      return exchange->end();
    }
    if (request.target() == "/later" || request.target() == "/stream") {
      exchange->on_gone([this] {
        const std::lock_guard lock(mutex);
        ++gone;
        changed.notify_all();
      });
      if (request.target() == "/stream") exchange->begin({.content_type = "text/plain"});
      const std::lock_guard lock(mutex);
      waiting.push_back(exchange);
      changed.notify_all();
      return;
    }
    exchange->send({.content_type = "text/plain", .body = body});
  }

  std::shared_ptr<Exchange> taken() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return !waiting.empty(); });
    auto exchange = waiting.front();
    waiting.erase(waiting.begin());
    return exchange;
  }
  void wait_for_gone(int count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return gone >= count; });
  }
  void wait_for_no_connections() const {
    while (server.stats().connections > 0) std::this_thread::sleep_for(1ms);
  }
  /// All of the reply to bytes on a connection of their own.
  std::string ask(std::string_view bytes) const {
    Client client(server.port());
    client.send(bytes);
    return client.all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::shared_ptr<Exchange>> waiting;
  int gone = 0;
  Server server;
};

constexpr const char* kClose = " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";

TEST(HttpServer, AnswersAndKeepsTheConnection) {
  const Echo echo;
  Client client(echo.server.port());
  for (int k = 0; k < 3; ++k) {
    client.send("POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz");
    const std::string reply = client.reply();
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(reply, EndsWith("POST /a?b xyz"));
  }
  EXPECT_EQ(echo.server.stats().accepted, 1U);
  EXPECT_EQ(echo.server.stats().requests, 3U);
}

TEST(HttpServer, AnswersPipelinedRequestsInTheirOrder) {
  const Echo echo;
  Client client(echo.server.port());
  std::string all;
  for (int k = 0; k < 50; ++k) all += "POST /" + std::to_string(k) + " HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx";
  client.send(all);
  for (int k = 0; k < 50; ++k) EXPECT_THAT(client.reply(), EndsWith("POST /" + std::to_string(k) + " x"));
}

TEST(HttpServer, TakesRequestsByteByByte) {
  const Echo echo;
  Client client(echo.server.port());
  for (const char byte : std::string("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n")) client.send({&byte, 1});
  EXPECT_THAT(client.reply(), EndsWith("POST /a abcde"));
}

TEST(HttpServer, SpeaksToOldClients) {
  const Echo echo;
  EXPECT_THAT(echo.ask("GET /a HTTP/1.0\r\n\r\n"), EndsWith("GET /a "));
  const std::string parts = echo.ask("GET /parts HTTP/1.0\r\n\r\n");
  EXPECT_THAT(parts, EndsWith("\r\n\r\nfirst,second,GET /parts "));
  EXPECT_THAT(parts, Not(HasSubstr("chunked")));
  Client kept(echo.server.port());
  for (int k = 0; k < 2; ++k) {
    kept.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_THAT(kept.reply(), HasSubstr("Connection: keep-alive"));
  }
}

TEST(HttpServer, SendsPartsAsChunks) {
  const Echo echo;
  EXPECT_THAT(echo.ask(std::string("GET /parts") + kClose + "\r\n"), EndsWith("\r\n\r\n6\r\nfirst,\r\n7\r\nsecond,\r\nb\r\nGET /parts \r\n0\r\n\r\n"));
}

TEST(HttpServer, GivesHeadTheHeadAlone) {
  const Echo echo;
  const std::string reply = echo.ask(std::string("HEAD /a") + kClose + "\r\n");
  EXPECT_THAT(reply, HasSubstr("Content-Length: 8\r\n"));
  EXPECT_THAT(reply, EndsWith("\r\n\r\n"));
}

TEST(HttpServer, ARefusalAfterHeadHasItsBody) {
  const Echo echo;
  Client client(echo.server.port());
  client.send("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\nGARBAGE\r\n\r\n");
  EXPECT_THAT(client.until("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(client.all(), EndsWith("}\n"));
}

TEST(HttpServer, PutsWhatAHandlerThrowsIntoTheReply) {
  const Echo echo;
  const std::string reply = echo.ask(std::string("GET /throw") + kClose + "\r\n");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(reply, EndsWith("{\"error\":\"thrown\",\"code\":\"not-found\"}\n"));
}

TEST(HttpServer, HandsBackAnId) {
  const Echo echo;
  EXPECT_THAT(echo.ask(std::string("GET /a") + kClose + "X-Request-Id: abc\r\n\r\n"), HasSubstr("X-Request-Id: abc\r\n"));
  EXPECT_THAT(echo.ask(std::string("GET /a") + kClose + "X-Request-Id: a b\r\n\r\n"), Not(HasSubstr("a b")));
  EXPECT_THAT(echo.ask(std::string("GET /a") + kClose + "X-Request-Id: " + std::string(200, 'x') + "\r\n\r\n"), Not(HasSubstr("xxx")));
}

TEST(HttpServer, GoesOnWhereAClientWaitsForThat) {
  const Echo echo;
  Client client(echo.server.port());
  client.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ok");
  EXPECT_THAT(client.reply(), EndsWith("POST /a ok"));
}

TEST(HttpServer, DoesNotAskForABodyThatItWillNotTake) {
  const Echo echo({.max_body = 10});
  Client client(echo.server.port());
  client.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(client.all(), StartsWith("HTTP/1.1 413 "));
}

struct Bad {
  const char* what;
  std::string bytes;
  int status;  ///< 0: closed without a word
};

std::ostream& operator<<(std::ostream& out, const Bad& bad) { return out << bad.what; }

class BadRequests : public testing::TestWithParam<Bad> {};

TEST_P(BadRequests, AreAnsweredAndTheConnectionClosed) {
  Echo echo({.max_body = 1000, .max_header = 4096});
  const std::string reply = echo.ask(GetParam().bytes);
  if (GetParam().status == 0) {
    EXPECT_EQ(reply, "");
  } else {
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 " + std::to_string(GetParam().status) + " "));
    EXPECT_THAT(reply, Not(EndsWith("!")));  // no reset that could overtake the reply
    EXPECT_EQ(reply.find("\nHTTP/1.1 "), std::string::npos) << "what follows was read as another request: " << reply;
  }
  echo.wait_for_no_connections();
  EXPECT_THAT(echo.ask(std::string("GET /a") + kClose + "\r\n"), EndsWith("GET /a "));
}

const std::string kPost = "POST /a HTTP/1.1\r\nHost: h\r\n";
/// What a smuggler wants to be read as a request of its own.
const std::string kInner = "GET /inner HTTP/1.1\r\nHost: h\r\n\r\n";

INSTANTIATE_TEST_SUITE_P(
    Http, BadRequests,
    testing::Values(
        Bad{"garbage", "garbage\r\n\r\n", 400}, Bad{"tls hello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + std::string(300, '\1'), 400},
        Bad{"http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505}, Bad{"http3", "GET / HTTP/3.0\r\n\r\n", 505}, Bad{"no version", "GET /\r\n\r\n", 400},
        Bad{"no host", "GET / HTTP/1.1\r\n\r\n", 400}, Bad{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        Bad{"nul in the target", std::string("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 29), 400}, Bad{"nul in a header", kPost + std::string("A: b\0c\r\n\r\n", 10), 400},
        Bad{"bare line feeds in a header", kPost + "A: b\nContent-Length: 5\r\n\r\n", 400},
        Bad{"obs-fold of Transfer-Encoding", kPost + "Transfer-Encoding:\r\n xchunked\r\n\r\n0\r\n\r\n" + kInner, 501},
        Bad{"space before the colon", kPost + "Content-Length : 3\r\n\r\nabc", 400}, Bad{"a header without a name", kPost + ": b\r\n\r\n", 400},
        Bad{"long header", kPost + "A: " + std::string(5000, 'x') + "\r\n\r\n", 431}, Bad{"many headers", kPost + [] { std::string all; for (int k = 0; k < 1000; ++k) all += "A: b\r\n"; return all; }() + "\r\n", 431},
        Bad{"long target", "GET /" + std::string(5000, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n", 431}, Bad{"endless header", kPost + "A: " + std::string(1000000, 'x'), 431},
        Bad{"long body", kPost + "Content-Length: 1001\r\n\r\n" + std::string(1001, 'x'), 413}, Bad{"much longer body", kPost + "Content-Length: 5000000\r\n\r\n" + std::string(5000000, 'x'), 413},
        Bad{"long chunks", kPost + "Transfer-Encoding: chunked\r\n\r\n" + [] { std::string all; for (int k = 0; k < 20; ++k) all += "64\r\n" + std::string(100, 'x') + "\r\n"; return all; }() + "0\r\n\r\n", 413},
        Bad{"one long chunk", kPost + "Transfer-Encoding: chunked\r\n\r\nffffff\r\n" + std::string(100000, 'x'), 413},
        Bad{"a chunk of more than there is", kPost + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx", 413},
        Bad{"a chunk of more than counts", kPost + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx", 400},
        Bad{"negative chunk", kPost + "Transfer-Encoding: chunked\r\n\r\n-1\r\nx", 400}, Bad{"chunk size that is none", kPost + "Transfer-Encoding: chunked\r\n\r\nzz\r\nx", 400},
        Bad{"0x in a chunk size", kPost + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n", 400}, Bad{"chunk longer than its size", kPost + "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", 400},
        Bad{"endless chunk extension", kPost + "Transfer-Encoding: chunked\r\n\r\n2;" + std::string(1000000, 'x'), 431},
        Bad{"two lengths", kPost + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400}, Bad{"one length twice", kPost + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
        Bad{"a list of lengths", kPost + "Content-Length: 3, 3\r\n\r\nabc", 400}, Bad{"negative length", kPost + "Content-Length: -1\r\n\r\n", 400}, Bad{"length with a sign", kPost + "Content-Length: +3\r\n\r\nabc", 400},
        Bad{"length that is none", kPost + "Content-Length: x\r\n\r\n", 400}, Bad{"hexadecimal length", kPost + "Content-Length: 0x3\r\n\r\nabc", 400}, Bad{"huge length", kPost + "Content-Length: 18446744073709551615\r\n\r\n", 413},
        Bad{"length that does not count", kPost + "Content-Length: 18446744073709551617\r\n\r\nx", 400}, Bad{"empty length", kPost + "Content-Length:\r\n\r\n" + kInner, 400},
        Bad{"length and chunks", kPost + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + kInner, 400},
        Bad{"chunks and length", kPost + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + kInner, 400},
        Bad{"an encoding that is none", kPost + "Transfer-Encoding: xchunked\r\n\r\n" + kInner, 501}, Bad{"identity", kPost + "Transfer-Encoding: identity\r\n\r\n" + kInner, 501},
        Bad{"chunked and then another", kPost + "Transfer-Encoding: chunked, gzip\r\n\r\n" + kInner, 501}, Bad{"another and chunked", kPost + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + kInner, 501},
        Bad{"chunked twice", kPost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + kInner, 400}, Bad{"chunked twice in one", kPost + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + kInner, 501},
        Bad{"chunked and then identity", kPost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + kInner, 400},
        Bad{"chunks from an old client", "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + kInner, 400}));

TEST(HttpServer, ATruncatedRequestIsClosed) {
  Echo echo;
  for (const std::string bytes : {"G", "GET / HTT", "GET / HTTP/1.1\r\nHost: h\r\n", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc",
                                  "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"}) {
    Client client(echo.server.port());
    client.send(bytes);
    client.end();
    EXPECT_EQ(client.all(), "") << bytes;
  }
  echo.wait_for_no_connections();
}

TEST(HttpServer, SlowClientsAreClosed) {
  Echo echo({.idle_time = 1s, .body_time = 1s});
  Client silent(echo.server.port());
  Client slow(echo.server.port());
  Client body(echo.server.port());
  body.send(kPost + "Content-Length: 10\r\n\r\nab");
  slow.send("GET / HTTP/1.1\r\n");
  std::atomic<bool> closed = false;
  std::thread drip([&] {
    while (!closed) {
      slow.send("A: b\r\n");
      body.send("");
      std::this_thread::sleep_for(50ms);
    }
  });
  EXPECT_EQ(silent.all(), "");
  EXPECT_THAT(body.all(), testing::AnyOf("", StartsWith("HTTP/1.1 408")));
  echo.wait_for_no_connections();
  closed = true;
  drip.join();
}

TEST(HttpServer, TellsThatAClientHasGone) {
  Echo echo;
  {
    Client client(echo.server.port());
    client.send(std::string("GET /later") + " HTTP/1.1\r\nHost: h\r\n\r\n");
    const auto exchange = echo.taken();
  }
  echo.wait_for_gone(1);
  echo.wait_for_no_connections();
  std::shared_ptr<Exchange> exchange;
  {
    Client client(echo.server.port());
    client.send(std::string("GET /stream") + " HTTP/1.1\r\nHost: h\r\n\r\n");
    exchange = echo.taken();
    exchange->write("x");
    client.until("x");
  }
  echo.wait_for_gone(2);
  exchange->write("more");  // to nobody
  exchange->end();
  exchange.reset();
  echo.wait_for_no_connections();
}

TEST(HttpServer, CountsTheBytesThatAClientDoesNotTake) {
  Echo echo;
  Client client(echo.server.port());
  client.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
  const auto exchange = echo.taken();
  const std::string part(1 << 20, 'x');
  std::size_t pending = 0;
  std::size_t given = 0;
  // What the kernel takes is bounded, so some must be left sooner or later, and all of it counts.
  for (int k = 0; k < 32; ++k) {
    pending = exchange->write(part);
    given += part.size();
    std::this_thread::sleep_for(2ms);
  }
  EXPECT_GT(pending, given / 2);
  std::thread end([&] {
    std::this_thread::sleep_for(20ms);
    exchange->end();
  });
  EXPECT_EQ(client.until("\r\n0\r\n\r\n").find("HTTP/1.1 200"), 0U);
  end.join();
  // All was taken: nothing is pending for the next reply.
  client.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
  const auto next = echo.taken();
  EXPECT_EQ(next->write("abc"), 3U);
  next->end();
  client.until("0\r\n\r\n");
}

TEST(HttpServer, ASlowReaderHoldsUpNobody) {
  Echo echo;
  Client slow(echo.server.port());
  slow.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
  const auto exchange = echo.taken();
  for (int k = 0; k < 32; ++k) exchange->write(std::string(1 << 20, 'x'));
  EXPECT_THAT(echo.ask(std::string("GET /a") + kClose + "\r\n"), EndsWith("GET /a "));
  exchange->end();
}

TEST(HttpServer, StopsAfterWhatHasBegun) {
  Echo echo;
  Client idle(echo.server.port());
  idle.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  idle.reply();
  Client answering(echo.server.port());
  answering.send("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
  auto exchange = echo.taken();
  Client sending(echo.server.port());
  sending.send(kPost + "Content-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  sending.until("100 Continue\r\n\r\n");
  sending.send("ab");
  std::thread stop([&] { echo.server.stop(30s); });
  EXPECT_EQ(idle.all(), "");  // at once
  exchange->send({.content_type = "text/plain", .body = "done"});
  exchange.reset();
  EXPECT_THAT(answering.all(), EndsWith("\r\n\r\ndone"));
  sending.send("cd");
  EXPECT_THAT(sending.all(), EndsWith("POST /a abcd"));
  stop.join();
  EXPECT_THROW(Client(echo.server.port()), std::exception);
}

TEST(HttpServer, StopsInTimeThoughSomethingNeverEnds) {
  Echo echo;
  Client client(echo.server.port());
  client.send("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
  auto exchange = echo.taken();
  echo.server.stop(50ms);
  exchange->send({.body = "too late"});
}

TEST(HttpServer, ClosesMoreConnectionsThanItMayHave) {
  Echo echo({.max_connections = 2});
  Client a(echo.server.port());
  Client b(echo.server.port());
  a.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  b.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  a.reply();
  b.reply();
  EXPECT_THAT(echo.ask("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"), testing::AnyOf("", "!"));
  a.send(std::string("GET /a") + kClose + "\r\n");
  a.all();
}

TEST(HttpServer, RefusesOptionsThatMeanNothing) {
  expect_error([] { Server({.address = "localhost:80"}); }, ErrorCode::kInvalidArgument, "no IP address");
  expect_error([] { Server({.port = 0, .certificate = "cert.pem"}); }, ErrorCode::kInvalidArgument, "private key");
  expect_error([] { Server({.port = 0, .certificate = "/nothing", .private_key = "/nothing"}); }, ErrorCode::kInvalidArgument, "/nothing");
  expect_error([] { Server({.port = 0, .client_authority = "/nothing"}); }, ErrorCode::kInvalidArgument, "over TLS only");
  expect_error([] { Server({.port = 0, .unix_socket = std::string(200, 'x')}); }, ErrorCode::kIo, "cannot be listened on");
  const Server first({.port = 0});
  expect_error([&] { Server({.port = first.port()}); }, ErrorCode::kIo, "cannot be listened on");
}

TEST(HttpServer, ManyClientsComeAndGo) {
  Echo echo;
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int k = 0; k < 100; ++k) {
        Client client(echo.server.port());
        const std::string target = "/" + std::to_string(thread) + "x" + std::to_string(k);
        client.send("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n");
        if (k % 4 == 0) continue;  // gone before its reply
        right += client.reply().ends_with("GET " + target + " ");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 4 * 75);
  echo.wait_for_no_connections();
}

}  // namespace
}  // namespace portfire::http
