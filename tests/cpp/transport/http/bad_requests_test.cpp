#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "echo.h"

namespace portfire::http {
namespace {

using test::Echo;
using testing::EndsWith;
using testing::Not;
using testing::StartsWith;

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
  EXPECT_THAT(echo.ask("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), EndsWith("GET /a "));
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

}  // namespace
}  // namespace portfire::http
