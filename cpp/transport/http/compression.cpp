#include "transport/http/compression.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::http {
namespace {

constexpr std::size_t kWorthIt = 1024;
constexpr std::size_t kMost = std::size_t{1} << 30;  // zlib counts in 32 bits
constexpr int kGzipWindow = 15 + 16;
constexpr int kEitherWindow = 15 + 32;  // zlib looks at the first bytes

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_text(std::string_view type) {
  return type.starts_with("text/") || type.starts_with("application/json") || type.starts_with("image/svg");
}

}  // namespace

Compression chosen(std::string_view accepted) {
  Compression best = Compression::kNone;
  double weight = 0;
  while (!accepted.empty()) {
    const std::size_t comma = std::min(accepted.find(','), accepted.size());
    const std::string_view one = trimmed(accepted.substr(0, comma));
    accepted.remove_prefix(std::min(comma + 1, accepted.size()));
    const std::size_t semicolon = std::min(one.find(';'), one.size());
    const std::string name = lower(trimmed(one.substr(0, semicolon)));
    double own = 1;
    if (const std::size_t q = one.find("q="); q != std::string_view::npos) own = std::atof(std::string(one.substr(q + 2, 8)).c_str());
    const Compression found = name == "gzip" ? Compression::kGzip : name == "deflate" ? Compression::kDeflate : Compression::kNone;
    if (found != Compression::kNone && own > weight) {
      best = found;
      weight = own;
    }
  }
  return best;
}

void compress(Reply& reply, Compression compression) {
  if (compression == Compression::kNone || reply.body.size() < kWorthIt || reply.body.size() > kMost || !is_text(reply.content_type)) return;
  z_stream stream{};
  const int window = compression == Compression::kGzip ? kGzipWindow : 15;
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK) return;
  std::string out(deflateBound(&stream, reply.body.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(reply.body.data());
  stream.avail_in = static_cast<uInt>(reply.body.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int done = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (done != Z_STREAM_END) return;
  reply.body = std::move(out);
  reply.headers.emplace_back("Content-Encoding", compression == Compression::kGzip ? "gzip" : "deflate");
  reply.headers.emplace_back("Vary", "Accept-Encoding");
}

std::string decompressed(const std::string& body, std::string_view encoding, std::size_t max_bytes) {
  const std::string name = lower(trimmed(encoding));
  if (name == "identity") return body;
  if (name != "gzip" && name != "deflate") {
    throw Error(ErrorCode::kUnsupported, cat("Content-Encoding is ", quoted(encoding), "; gzip, deflate and identity are read"));
  }
  z_stream stream{};
  if (inflateInit2(&stream, kEitherWindow) != Z_OK) throw Error(ErrorCode::kResourceExhausted, "no memory to decompress the body");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  std::string out;
  std::array<char, 65536> block;
  int done = Z_OK;
  while (done == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    done = inflate(&stream, Z_NO_FLUSH);
    out.append(block.data(), block.size() - stream.avail_out);
    if (out.size() > max_bytes) break;
  }
  const std::size_t left = stream.avail_in;
  inflateEnd(&stream);
  if (out.size() > max_bytes) throw Error(ErrorCode::kResourceExhausted, cat("the body is more than ", max_bytes, " bytes when decompressed, which is the most"));
  if (done != Z_STREAM_END) throw Error(ErrorCode::kInvalidInput, cat("the body is not ", name, ", though Content-Encoding says so, or it is damaged"));
  if (left > 0) throw Error(ErrorCode::kInvalidInput, cat("the body is ", name, " and something follows its end: ", left, " bytes"));
  return out;
}

}  // namespace portfire::http
