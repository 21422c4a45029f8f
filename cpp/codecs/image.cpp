#include <algorithm>
#include <array>
#include <string>

#include <portfire/codecs.h>
#include <portfire/error.h>

#include "codecs/orientation.h"
#include "codecs/stored_image.h"
#include "core/text.h"

namespace portfire {
namespace {

bool starts_with(std::span<const std::byte> bytes, std::string_view signature) {
  return bytes.size() >= signature.size() &&
         std::equal(signature.begin(), signature.end(), bytes.begin(),
                    [](char expected, std::byte actual) { return static_cast<std::byte>(expected) == actual; });
}

}  // namespace

void require_pixels(std::string_view name, std::int64_t width, std::int64_t height, std::int64_t max_pixels) {
  if (width > max_pixels / height) {
    throw Error(ErrorCode::kInvalidInput, cat(name, ": ", width, " x ", height, " pixels; at most ", max_pixels,
                                              " pixels are decoded"));
  }
}

Tensor decode_image(std::span<const std::byte> bytes, std::string_view name, std::int64_t max_pixels) {
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n")) {
    const StoredImage image = decode_png(bytes, name, max_pixels);
    return upright(image.pixels, image.orientation);
  }
  if (starts_with(bytes, "\xff\xd8\xff")) {
    const StoredImage image = decode_jpeg(bytes, name, max_pixels);
    return upright(image.pixels, image.orientation);
  }
  if (bytes.empty()) throw Error(ErrorCode::kInvalidInput, cat(name, ": empty; PNG or JPEG is needed"));
  const std::string start(reinterpret_cast<const char*>(bytes.data()), std::min<std::size_t>(bytes.size(), 8));
  throw Error(ErrorCode::kInvalidInput,
              cat(name, ": not an image (starts with ", quoted(start), "); PNG or JPEG is needed"));
}

}  // namespace portfire
