#include "transport/routes/router.h"

#include <gtest/gtest.h>

#include "../../archive/expect_error.h"

namespace portfire::routes {
namespace {

using test::expect_error;

class FakeRequest final : public http::Request {
 public:
  FakeRequest(std::string method, std::string target) : method_(std::move(method)), target_(std::move(target)) {}
  std::string_view method() const override { return method_; }
  std::string_view target() const override { return target_; }
  std::optional<std::string_view> header(std::string_view) const override { return std::nullopt; }
  std::string& body() override { return body_; }

 private:
  std::string method_;
  std::string target_;
  std::string body_;
};

class FakeExchange final : public http::Exchange {
 public:
  const std::string& request_id() const override { return id_; }
  void send(http::Reply given) override { reply = std::move(given); }
  void begin(http::Reply) override {}
  std::size_t write(std::string) override { return 0; }
  void end() override {}
  void on_gone(std::function<void()>) override {}

  http::Reply reply{.status = 0};

 private:
  std::string id_;
};

class Routes : public testing::Test {
 protected:
  Routes() {
    const auto add = [this](const std::string& method, const std::string& pattern) {
      router.add(method, pattern, [pattern](Call& call) {
        std::string parts = pattern;
        for (const std::string& part : call.parts) parts += " [" + part + "]";
        call.reply(parts);
      });
    };
    add("GET", "/");
    add("GET", "/v2");
    add("GET", "/v2/models/{}");
    add("POST", "/v2/models/{}");
    add("POST", "/v2/models/{}/versions/{}/infer");
    add("POST", "/v1/models/{}:run");
  }
  http::Reply ask(const std::string& method, const std::string& target) {
    FakeRequest request(method, target);
    const auto exchange = std::make_shared<FakeExchange>();
    router.handle(request, exchange);
    return exchange->reply;
  }

  Router router;
};

TEST_F(Routes, FindWhatAnswers) {
  EXPECT_EQ(ask("GET", "/").body, "/");
  EXPECT_EQ(ask("GET", "/v2").body, "/v2");
  EXPECT_EQ(ask("GET", "/v2/?x").body, "/v2");
  EXPECT_EQ(ask("GET", "/v2/models/a%20b").body, "/v2/models/{} [a b]");
  EXPECT_EQ(ask("POST", "/v2/models/a/versions/3/infer").body, "/v2/models/{}/versions/{}/infer [a] [3]");
  EXPECT_EQ(ask("POST", "/v1/models/a:run").body, "/v1/models/{}:run [a]");
  EXPECT_EQ(ask("POST", "/v1/models/a:b:run").body, "/v1/models/{}:run [a:b]");
  EXPECT_EQ(ask("HEAD", "/v2").body, "/v2");
}

TEST_F(Routes, SayWhatIsNotThere) {
  for (const char* target : {"/nothing", "/v2/models", "/v2/models/a/b", "/v2/models/", "/v1/models/:run", "/v1/models/a", "/v2/models//versions/1/infer", "/V2"}) {
    const http::Reply reply = ask("GET", target);
    EXPECT_EQ(reply.status, 404) << target;
    EXPECT_THAT(reply.body, testing::HasSubstr("not-found"));
  }
}

TEST_F(Routes, SayWhichMethodsThereAre) {
  const http::Reply reply = ask("DELETE", "/v2/models/a");
  EXPECT_EQ(reply.status, 405);
  EXPECT_THAT(reply.headers, testing::Contains(testing::Pair("Allow", "GET, HEAD, POST")));
  EXPECT_EQ(ask("GET", "/v1/models/a:run").status, 405);
  EXPECT_EQ(ask("get", "/v2").status, 405);
}

TEST_F(Routes, AnswerOptions) {
  const http::Reply reply = ask("OPTIONS", "/v2/models/a");
  EXPECT_EQ(reply.status, 204);
  EXPECT_THAT(reply.headers, testing::Contains(testing::Pair("Allow", "GET, HEAD, POST")));
  EXPECT_EQ(ask("OPTIONS", "/nothing").status, 404);
}

TEST_F(Routes, RefuseTargetsThatAreNone) {
  expect_error([&] { ask("GET", "/%00"); }, ErrorCode::kInvalidInput, "control character");
  expect_error([&] { ask("GET", "v2"); }, ErrorCode::kInvalidInput, "target");
}

TEST(VersionIn, TakesWholeNumbersFromOneOn) {
  EXPECT_EQ(version_in("1"), 1);
  EXPECT_EQ(version_in("9223372036854775807"), 9223372036854775807);
  for (const char* bad : {"", "0", "-1", "1.0", "+1", " 1", "1 ", "latest", "9223372036854775808", "0x1"}) {
    expect_error([&] { (void)version_in(bad); }, ErrorCode::kNotFound, "no version");
  }
}

}  // namespace
}  // namespace portfire::routes
