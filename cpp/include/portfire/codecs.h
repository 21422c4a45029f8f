#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <portfire/export.h>
#include <portfire/tensor.h>

/// Bytes to tensors and back: the same code that `Model::run` decodes with, so that training can use it
/// too. All functions are thread-safe. `name` is what an error calls the bytes.
namespace portfire {

inline constexpr std::int64_t kDefaultMaxPixels = 64 * 1024 * 1024;

/// PNG or JPEG (told by content) to uint8 [H, W, 3] RGB: upright (EXIF applied), grey and palette
/// expanded, alpha composited on white, 16 bits reduced to 8, CMYK converted. Equal to Pillow's pixels but for what ADR 2 names.
/// Throws kInvalidInput on anything else, on damage, and on more than `max_pixels`, before memory is taken.
PORTFIRE_EXPORT Tensor decode_image(std::span<const std::byte> bytes, std::string_view name = "image",
                                    std::int64_t max_pixels = kDefaultMaxPixels);
/// uint8 [H, W, 3] or [H, W] to PNG. Throws kInvalidArgument on another tensor.
PORTFIRE_EXPORT std::vector<std::byte> encode_png(const Tensor& image);

/// NumPy's .npy, versions 1 to 3, little-endian and C or Fortran order. Throws kInvalidInput, kUnsupported.
PORTFIRE_EXPORT Tensor decode_npy(std::span<const std::byte> bytes, std::string_view name = "npy");
/// Version 1.0. bfloat16 has no .npy dtype: throws kUnsupported.
PORTFIRE_EXPORT std::vector<std::byte> encode_npy(const Tensor& tensor);

/// Tensors sorted by name. Throws kInvalidInput, kUnsupported.
PORTFIRE_EXPORT std::vector<NamedTensor> decode_safetensors(std::span<const std::byte> bytes,
                                                            std::string_view name = "safetensors");
PORTFIRE_EXPORT std::vector<std::byte> encode_safetensors(std::span<const NamedTensor> tensors);

/// {"x": [[1, 2], [3, 4]]}, {"x": {"dtype": "float32", "shape": […], "data": […]}} or a bare nested list
/// (named ""). Numbers without a dtype are int64 when all are whole, else float32; booleans are bool.
PORTFIRE_EXPORT std::vector<NamedTensor> decode_json_tensors(std::span<const std::byte> bytes,
                                                             std::string_view name = "json");

}  // namespace portfire
