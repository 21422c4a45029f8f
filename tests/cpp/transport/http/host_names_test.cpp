#include "transport/http/host_names.h"

#include <gtest/gtest.h>

#include "../../archive/expect_error.h"

namespace portfire::http {
namespace {

using test::expect_error;

TEST(HostNames, HasThoseOfThisMachine) {
  const HostNames names;
  for (const char* host : {"localhost", "LocalHost:8000", "localhost.", "localhost.:1", "models.localhost:8000", "127.0.0.1", "127.0.0.1:8000", "127.9.8.7:1", "[::1]", "[::1]:8000",
                           "[0:0:0:0:0:0:0:1]:8000", "[::ffff:127.0.0.1]:8000", "localhost:", ""}) {
    EXPECT_TRUE(names.has(host)) << host;
  }
}

TEST(HostNames, HasNoOthers) {
  const HostNames names;
  for (const char* host : {"evil.example", "evil.example:8000", "localhost.evil.example", "evillocalhost", "127.0.0.1.evil.example", "127.0.0.1.nip.io:8000", "192.168.1.5", "0.0.0.0:8000", "[::]:8000",
                           "[fe80::1]:8000", "::1", "2130706433", "0x7f.1", "127.1", "localhost@evil.example", "evil.example#localhost", "localhost:80@evil.example", "[::1]evil.example", "[::1", "[localhost]",
                           "[]", ".", "..", ":8000", "localhost:8000:1", "localhost, evil.example", "local\xc5\xbfhost", " "}) {
    EXPECT_FALSE(names.has(host)) << host;
  }
  EXPECT_FALSE(names.has(std::string(100000, 'a') + ".localhost"));
}

TEST(HostNames, HasThoseThatAreAllowed) {
  const HostNames names({"Models.Example", "192.168.1.5", "fd00::5"});
  for (const char* host : {"models.example", "MODELS.EXAMPLE:443", "models.example.", "192.168.1.5:8000", "[fd00::5]:8000", "localhost"}) EXPECT_TRUE(names.has(host)) << host;
  for (const char* host : {"a.models.example", "example", "192.168.1.6", "[fd00::6]"}) EXPECT_FALSE(names.has(host)) << host;
}

TEST(HostNames, AreNamesAlone) {
  for (const char* name : {"", "http://models.example", "models.example:8000", "models.example/", "*", "a b", "[fd00::5]"}) {
    expect_error([&] { HostNames({name}); }, ErrorCode::kInvalidArgument, "is no host's name");
  }
}

}  // namespace
}  // namespace portfire::http
