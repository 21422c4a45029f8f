#include <zlib.h>

#include <cstring>
#include <vector>

#include <portfire/codecs.h>

#include "fuzz.h"

namespace {

constexpr std::size_t kSignature = 8;
constexpr std::size_t kAround = 12;  // length, type and CRC of a chunk

std::uint32_t big_endian(const std::uint8_t* at) {
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 | at[3];
}

/// Gives each whole chunk its right CRC: else nearly every change would end there.
void mend_checksums(std::vector<std::uint8_t>& png) {
  std::size_t at = kSignature;
  while (png.size() - at >= kAround) {
    const std::size_t length = big_endian(&png[at]);
    if (length > png.size() - at - kAround) return;
    const auto crc = static_cast<std::uint32_t>(crc32(0, &png[at + 4], static_cast<uInt>(length + 4)));
    for (std::size_t i = 0; i < 4; ++i) png[at + 8 + length + i] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
    at += length + kAround;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < kSignature) return -1;
  std::vector<std::uint8_t> png(data, data + size);
  std::memcpy(png.data(), "\x89PNG\r\n\x1a\n", kSignature);
  mend_checksums(png);
  portfire::refuse_or_read([&] {
    const auto image = portfire::decode_image(portfire::bytes_of(png.data(), png.size()), "fuzz", 1 << 18);
    portfire::require(portfire::decode_image(portfire::encode_png(image)) == image);
  });
  return 0;
}
