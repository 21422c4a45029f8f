#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include <portfire/tensor.h>

namespace portfire {

/// EXIF's orientation, 1 to 8, where a file's metadata says one; 1 for a value of no meaning. None where
/// it is absent or cannot be read: metadata never stops a picture from being decoded.
/// `exif`: a TIFF structure, with or without "Exif\0\0" before it.
std::optional<int> orientation_in_exif(std::span<const std::byte> exif);
/// `profile`: what ImageMagick keeps in a PNG's text "Raw profile type exif": EXIF in hexadecimal.
std::optional<int> orientation_in_raw_profile(std::string_view profile);
std::optional<int> orientation_in_xmp(std::string_view xmp);

/// The picture as it is meant to be seen. `pixels`: uint8 [H, W, 3]; 5 to 8 swap height and width.
Tensor upright(const Tensor& pixels, int orientation);

}  // namespace portfire
