#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <portfire/tensor.h>

namespace portfire {

/// Pixels as a file holds them, and how its camera was turned.
struct StoredImage {
  Tensor pixels;        ///< uint8 [H, W, 3], RGB
  int orientation = 1;  ///< EXIF's 1 to 8
};

/// Throw kInvalidInput on damage and on more than `max_pixels`, before memory is taken for pixels.
StoredImage decode_png(std::span<const std::byte> bytes, std::string_view name, std::int64_t max_pixels);
StoredImage decode_jpeg(std::span<const std::byte> bytes, std::string_view name, std::int64_t max_pixels);

/// Throws kInvalidInput past the limit.
void require_pixels(std::string_view name, std::int64_t width, std::int64_t height, std::int64_t max_pixels);

}  // namespace portfire
