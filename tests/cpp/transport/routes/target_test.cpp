#include "transport/routes/target.h"

#include <gtest/gtest.h>

#include "../../archive/expect_error.h"

namespace portfire::routes {
namespace {

using test::expect_error;
using Path = std::vector<std::string>;

TEST(Target, IsTakenApart) {
  EXPECT_EQ(target_of("/").path, Path{});
  EXPECT_EQ(target_of("/v2").path, (Path{"v2"}));
  EXPECT_EQ(target_of("/v2/").path, (Path{"v2"}));
  EXPECT_EQ(target_of("/v2/models/a%20b/infer?x=1").path, (Path{"v2", "models", "a b", "infer"}));
  EXPECT_EQ(target_of("/v2//x").path, (Path{"v2", "", "x"}));
  EXPECT_EQ(target_of("//").path, (Path{""}));
  EXPECT_EQ(target_of("/a#b?c").path, (Path{"a"}));
}

TEST(Target, SlashesAndDotsThatAreEscapedSeparateNothing) {
  EXPECT_EQ(target_of("/v2/a%2Fb%2f..").path, (Path{"v2", "a/b/.."}));
  EXPECT_EQ(target_of("/v2/../etc/%2e%2e/passwd").path, (Path{"v2", "..", "etc", "..", "passwd"}));
  EXPECT_EQ(target_of("/%3fa").path, (Path{"?a"}));
  EXPECT_EQ(target_of("/%2541").path, (Path{"%41"}));  // once only
}

TEST(Target, ReadsItsQuery) {
  const Target target = target_of("/a?x=1&y=a+b%26c&x=2&flag&=n&&e=");
  EXPECT_EQ(target.query.at("x"), "2");
  EXPECT_EQ(target.query.at("y"), "a b&c");
  EXPECT_EQ(target.query.at("flag"), "");
  EXPECT_EQ(target.query.at("e"), "");
  EXPECT_TRUE(target_of("/a?").query.empty());
  EXPECT_EQ(target_of("/a+b").path, (Path{"a+b"}));
}

TEST(Target, TakesTheWholeAddressToo) {
  EXPECT_EQ(target_of("http://example.com:8000/v2/health?x=1").path, (Path{"v2", "health"}));
  EXPECT_EQ(target_of("http://example.com:8000/v2/health?x=1").query.at("x"), "1");
  EXPECT_EQ(target_of("HTTPS://h/v2").path, (Path{"v2"}));
  EXPECT_EQ(target_of("http://h").path, Path{});
  EXPECT_EQ(target_of("http://h?x=/y").path, Path{});
}

TEST(Target, RefusesWhatIsNone) {
  for (const char* bad : {"", "v2", "*", "ftp://h/v2", "http:/v2", "http://", "http:///v2", "host:80", "?x", "/%", "/%4", "/%zz", "/%4g", "/%-1", "/%+1", "/% 1", "/%0x", "/a%", "/%00", "/%0a", "/%7f", "/a?x=%0d",
                          "/a\x01", "/a\x7f"}) {
    expect_error([&] { (void)target_of(bad); }, ErrorCode::kInvalidInput, "target");
  }
  expect_error([&] { (void)target_of(std::string_view("/a\0b", 4)); }, ErrorCode::kInvalidInput, "target");
}

}  // namespace
}  // namespace portfire::routes
