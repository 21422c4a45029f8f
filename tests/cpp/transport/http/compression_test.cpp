#include "transport/http/compression.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "../../archive/expect_error.h"

namespace portfire::http {
namespace {

using test::expect_error;

std::string packed(const std::string& text, int window) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string gzipped(const std::string& text) { return packed(text, 31); }

TEST(Chosen, WeighsWhatIsAccepted) {
  using enum Compression;
  for (const auto& [accepted, expected] : std::vector<std::pair<std::string, Compression>>{
           {"", kNone}, {"gzip", kGzip}, {"deflate", kDeflate}, {"GZip", kGzip}, {"br, gzip", kGzip}, {"gzip, deflate, br", kGzip}, {"deflate, gzip;q=0.5", kDeflate},
           {"gzip;q=0", kNone}, {"gzip;q=0.0, deflate;q=0.1", kDeflate}, {"identity", kNone}, {"br", kNone}, {" gzip ; q=1 ", kGzip}, {",,gzip,,", kGzip}, {"gzip;q=x", kNone},
           {"gzip;q=-1", kNone}, {"xgzip", kNone}, {"gzipx", kNone}, {";q=1", kNone}}) {
    EXPECT_EQ(chosen(accepted), expected) << accepted;
  }
  EXPECT_EQ(chosen(std::string(100000, ',')), kNone);
}

TEST(Compress, TakesTextOfSomeLength) {
  const std::string text(5000, 'a');
  for (const Compression compression : {Compression::kGzip, Compression::kDeflate}) {
    Reply reply{.body = text};
    compress(reply, compression);
    ASSERT_FALSE(reply.headers.empty());
    EXPECT_LT(reply.body.size(), 200U);
    EXPECT_EQ(reply.headers[0].first, "Content-Encoding");
    EXPECT_EQ(decompressed(reply.body, reply.headers[0].second, 5000), text);
  }
  for (Reply reply : {Reply{.body = std::string(100, 'a')}, Reply{.content_type = "application/octet-stream", .body = text}, Reply{.content_type = "image/png", .body = text}}) {
    const std::string before = reply.body;
    compress(reply, Compression::kGzip);
    EXPECT_EQ(reply.body, before);
    EXPECT_TRUE(reply.headers.empty());
  }
}

TEST(Decompressed, ReadsWhatClientsSend) {
  const std::string text = "{\"a\": 1}";
  EXPECT_EQ(decompressed(gzipped(text), "gzip", 100), text);
  EXPECT_EQ(decompressed(gzipped(text), " GZIP ", 100), text);
  EXPECT_EQ(decompressed(packed(text, 15), "deflate", 100), text);
  EXPECT_EQ(decompressed(text, "identity", 100), text);
  EXPECT_EQ(decompressed(gzipped(""), "gzip", 100), "");
}

TEST(Decompressed, RefusesWhatIsDamaged) {
  const std::string whole = gzipped(std::string(1000, 'x') + "y");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    expect_error([&] { (void)decompressed(whole.substr(0, length), "gzip", 100000); }, ErrorCode::kInvalidInput, "damaged");
  }
  for (std::size_t at : {std::size_t{0}, std::size_t{2}, whole.size() - 8, whole.size() - 1}) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 0x55);
    expect_error([&] { (void)decompressed(bad, "gzip", 100000); }, ErrorCode::kInvalidInput, "damaged");
  }
  expect_error([&] { (void)decompressed(whole + "more", "gzip", 100000); }, ErrorCode::kInvalidInput, "follows");
  expect_error([&] { (void)decompressed(whole + whole, "gzip", 100000); }, ErrorCode::kInvalidInput, "follows");
  expect_error([&] { (void)decompressed("plain", "deflate", 100000); }, ErrorCode::kInvalidInput, "deflate");
}

TEST(Decompressed, RefusesOtherCodings) {
  for (const char* coding : {"br", "zstd", "gzip, gzip", "", "x-gzip2"}) {
    expect_error([&] { (void)decompressed("x", coding, 100); }, ErrorCode::kUnsupported, "gzip, deflate and identity");
  }
}

TEST(Decompressed, StopsABomb) {
  const std::string bomb = gzipped(std::string(std::size_t{64} << 20, '\0'));
  ASSERT_LT(bomb.size(), 100000U);
  expect_error([&] { (void)decompressed(bomb, "gzip", 1 << 20); }, ErrorCode::kResourceExhausted, "when decompressed");
  EXPECT_EQ(decompressed(gzipped(std::string(1000, 'a')), "gzip", 1000).size(), 1000U);
  expect_error([&] { (void)decompressed(gzipped(std::string(1001, 'a')), "gzip", 1000); }, ErrorCode::kResourceExhausted, "when decompressed");
}

}  // namespace
}  // namespace portfire::http
