#include "transport/http/gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include <portfire/error.h>

#include "echo.h"

namespace portfire::http {
namespace {

using test::Client;
using test::Echo;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using namespace std::chrono_literals;

class Head final : public Request {
 public:
  Head(std::string target, std::map<std::string, std::string> headers, bool local = false) : target_(std::move(target)), headers_(std::move(headers)), local_(local) {}
  std::string_view method() const override { return "POST"; }
  std::string_view target() const override { return target_; }
  std::optional<std::string_view> header(std::string_view name) const override {
    const auto found = headers_.find(std::string(name));
    return found == headers_.end() ? std::nullopt : std::optional<std::string_view>(found->second);
  }
  std::string& body() override { throw std::logic_error("its body has not come"); }
  bool is_on_unix_socket() const override { return local_; }

 private:
  std::string target_;
  std::map<std::string, std::string> headers_;
  bool local_;
};

/// 0 where it may come in.
int status(const Gate& gate, const Head& head) {
  const std::optional<Reply> reply = gate(head);
  return reply ? reply->status : 0;
}

/// Keys "plain", "slow" (one request a second) and "control".
Doors doors() {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / ("portfire-gate-" + std::to_string(::getpid()));
  std::ofstream(path) << "plain:" << Doors::hash_of("plain") << "\nslow:" << Doors::hash_of("slow") << ":rate=1\ncontrol:" << Doors::hash_of("control") << ":control\n";
  Doors made = Doors::from_file(path.string());
  std::filesystem::remove(path);
  return made;
}

TEST(Gate, IsOpenWhereNobodyAsksForKeys) {
  Doors open;
  EXPECT_EQ(status(gate(open, std::nullopt), Head("/v2", {{"Host", "evil.example"}})), 0);
}

TEST(Gate, AsksForKeysWhereSomethingIsSaidOfModels) {
  Doors some = doors();
  const Gate asks = gate(some, std::nullopt);
  for (const char* open : {"/", "/?x", "/page/page.js", "/openapi.json", "/v2/health/live", "/v2/health/ready"}) EXPECT_EQ(status(asks, Head(open, {})), 0) << open;
  for (const char* closed : {"/v2", "/metrics", "/page/state", "/page/%73tate", "/page", "//", "/v2/%68ealthy", "/v1/models", "http://h/page/state", "/nothing"}) {
    EXPECT_EQ(status(asks, Head(closed, {})), 401) << closed;
    EXPECT_EQ(status(asks, Head(closed, {{"Authorization", "Bearer wrong"}})), 401) << closed;
    EXPECT_EQ(status(asks, Head(closed, {{"Authorization", "Bearer plain"}})), 0) << closed;
    EXPECT_EQ(status(asks, Head(closed, {{"X-API-Key", "plain"}})), 0) << closed;
  }
  EXPECT_EQ(status(asks, Head("/v2/%72epository/models/a/load", {{"X-API-Key", "plain"}})), 403);
  EXPECT_EQ(status(asks, Head("/v2/%72epository/models/a/load", {{"X-API-Key", "control"}})), 0);
  EXPECT_EQ(status(asks, Head("/v2", {{"X-API-Key", "slow"}})), 0);
  EXPECT_EQ(status(asks, Head("/v2", {{"X-API-Key", "slow"}})), 429);
  EXPECT_THROW((void)asks(Head("/%zz", {})), Error);
}

TEST(Gate, HearsOnItsOwnNamesAlone) {
  Doors open;
  const Gate own = gate(open, HostNames());
  EXPECT_EQ(status(own, Head("/v2", {{"Host", "localhost:8000"}})), 0);
  EXPECT_EQ(status(own, Head("/v2", {})), 0);  // HTTP/1.0
  EXPECT_EQ(status(own, Head("/v2", {{"Host", "evil.example"}, {"Origin", "http://evil.example"}})), 403);
  EXPECT_EQ(status(own, Head("/v2", {{"Host", "evil.example"}}, true)), 0);  // no browser comes over a Unix socket
  EXPECT_EQ(status(own, Head("/v2", {{"Host", "localhost:8000"}, {"Origin", "http://evil.example"}})), 403);
  EXPECT_THAT(own(Head("/v2", {{"Host", "evil\n.example"}}))->body, HasSubstr("--allow-host"));
}

/// A server whose gate lets in what has a key.
struct Guarded {
  Guarded() {
    ServerOptions options;
    options.port = 0;
    server.emplace(options);
    server->start([](Request& request, const std::shared_ptr<Exchange>& exchange) { exchange->send({.content_type = "text/plain", .body = "in: " + request.body()}); }, {},
                  [](const Request& head) -> std::optional<Reply> {
                    if (head.target() == "/throw") throw Error(ErrorCode::kInvalidInput, "thrown");
                    if (head.header("X-API-Key")) return std::nullopt;
                    return Reply{.status = 401, .content_type = "text/plain", .body = "a key"};
                  });
  }
  ~Guarded() { server->stop(10s); }
  std::optional<Server> server;
};

const std::string kPost = "POST /a HTTP/1.1\r\nHost: h\r\n";

TEST(Gate, AnswersBeforeTheBodyHasCome) {
  Guarded guarded;
  for (const std::string announced : {"Content-Length: 1000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n", "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n"}) {
    Client client(guarded.server->port());
    client.send(kPost + announced);
    const std::string reply = client.until("a key");
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 401 ")) << announced;
    EXPECT_THAT(reply, HasSubstr("Connection: close\r\n"));
  }
}

TEST(Gate, IsHeardByWhoSendsOn) {
  Guarded guarded;
  Client client(guarded.server->port());
  client.send(kPost + "Content-Length: 20000000\r\n\r\n");
  client.send(std::string(20000000, 'x'));
  client.send("GET /inner HTTP/1.1\r\nHost: h\r\nX-API-Key: k\r\n\r\n");
  client.end();
  const std::string reply = client.all();
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(reply, EndsWith("a key"));  // no reset, and nothing of what follows was read as a request
}

TEST(Gate, KeepsTheConnectionWhereThereIsNoBody) {
  Guarded guarded;
  Client client(guarded.server->port());
  client.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n" + kPost + "X-API-Key: k\r\nContent-Length: 2\r\n\r\nme");
  EXPECT_THAT(client.reply(), testing::AllOf(StartsWith("HTTP/1.1 401 "), Not(HasSubstr("Connection: close"))));
  EXPECT_THAT(client.reply(), EndsWith("in: me"));
  client.send("GET /throw HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.reply(), testing::AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("thrown")));
  client.send("HEAD /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.all(), testing::AllOf(StartsWith("HTTP/1.1 401 "), EndsWith("\r\n\r\n")));
}

}  // namespace
}  // namespace portfire::http
