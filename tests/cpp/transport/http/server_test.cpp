#include "transport/http/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "../../archive/expect_error.h"
#include "echo.h"

namespace portfire::http {
namespace {

using test::Client;
using test::Echo;
using test::expect_error;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using namespace std::chrono_literals;

const std::string kPost = "POST /a HTTP/1.1\r\nHost: h\r\n";
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

TEST(HttpServer, ARefusalOfHeadHasNone) {
  Echo echo;
  const std::string reply = echo.ask("HEAD /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n\r\n");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(reply, EndsWith("\r\n\r\n"));
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
  EXPECT_THAT(slow.until("}"), testing::AllOf(StartsWith("HTTP/1.1 408 "), HasSubstr("Connection: close"), HasSubstr("1 s are for its head")));
  EXPECT_THAT(body.all(), testing::AllOf(StartsWith("HTTP/1.1 408 "), Not(EndsWith("!"))));
  closed = true;
  drip.join();
  slow.end();
  EXPECT_EQ(slow.all(), "\n");
  echo.wait_for_no_connections();
}

TEST(HttpServer, AConnectionThatWaitsForItsNextRequestIsClosed) {
  Echo echo({.idle_time = 1s});
  Client client(echo.server.port());
  client.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.reply(), EndsWith("GET /a "));
  EXPECT_EQ(client.all(), "");  // a 408 might be taken for the answer to a request that is on its way
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
