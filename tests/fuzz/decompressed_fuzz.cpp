#include <string>

#include "fuzz.h"
#include "transport/http/compression.h"

// The first byte chooses the coding, the rest is the body; its text, packed and read again, is itself.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr std::size_t kMost = 1 << 20;
  const std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const char* const coding = data[0] % 2 == 0 ? "gzip" : "deflate";
  portfire::refuse_or_use_file([&] { portfire::require(portfire::http::decompressed(body, coding, kMost).size() <= kMost); });
  portfire::refuse_or_use_file([&] {
    portfire::http::Reply reply{.content_type = "text/plain", .body = body};
    portfire::http::compress(reply, data[0] % 2 == 0 ? portfire::http::Compression::kGzip : portfire::http::Compression::kDeflate);
    if (!reply.headers.empty()) portfire::require(portfire::http::decompressed(reply.body, coding, kMost) == body);
  });
  (void)portfire::http::chosen(body);
  return 0;
}
