#include "codecs/orientation.h"

#include <libexif/exif-data.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

namespace portfire {
namespace {

constexpr std::string_view kExifPrefix("Exif\0\0", 6);

/// A value of no meaning is said, so nothing else is asked, but it turns nothing.
int meaning_of(std::int64_t orientation) {
  return orientation < 1 || orientation > 8 ? 1 : static_cast<int>(orientation);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<int> orientation_in_exif(std::span<const std::byte> exif) {
  std::string_view tiff(reinterpret_cast<const char*>(exif.data()), exif.size());
  while (tiff.starts_with(kExifPrefix)) tiff.remove_prefix(kExifPrefix.size());
  std::vector<unsigned char> block(kExifPrefix.begin(), kExifPrefix.end());
  block.insert(block.end(), tiff.begin(), tiff.end());
  if (tiff.empty() || block.size() > std::numeric_limits<unsigned>::max()) return std::nullopt;

  const std::unique_ptr<ExifData, decltype(&exif_data_unref)> data(exif_data_new(), exif_data_unref);
  if (data == nullptr) return std::nullopt;
  // As found: libexif would otherwise add the tags that the specification demands, this one among them.
  exif_data_unset_option(data.get(), EXIF_DATA_OPTION_FOLLOW_SPECIFICATION);
  exif_data_load_data(data.get(), block.data(), static_cast<unsigned>(block.size()));

  const ExifEntry* entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
  if (entry == nullptr || entry->data == nullptr) return std::nullopt;
  const ExifByteOrder order = exif_data_get_byte_order(data.get());
  if (entry->format == EXIF_FORMAT_SHORT && entry->size >= 2) return meaning_of(exif_get_short(entry->data, order));
  if (entry->format == EXIF_FORMAT_LONG && entry->size >= 4) return meaning_of(exif_get_long(entry->data, order));
  return 1;
}

std::optional<int> orientation_in_raw_profile(std::string_view profile) {
  for (int line = 0; line < 3; ++line) {  // empty, "exif", the length
    const std::size_t end = profile.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    profile.remove_prefix(end + 1);
  }
  std::vector<std::byte> exif;
  int high = -1;
  for (const char c : profile) {
    if (c == '\n') continue;
    const int digit = hex_digit(c);
    if (digit < 0) return std::nullopt;
    if (high < 0) {
      high = digit;
    } else {
      exif.push_back(static_cast<std::byte>(high * 16 + digit));
      high = -1;
    }
  }
  return orientation_in_exif(exif);
}

std::optional<int> orientation_in_xmp(std::string_view xmp) {
  constexpr std::string_view kTag = "tiff:Orientation";
  for (std::size_t at = xmp.find(kTag); at != std::string_view::npos; at = xmp.find(kTag, at + 1)) {
    std::string_view rest = xmp.substr(at + kTag.size());
    if (rest.starts_with("=\"")) {
      rest.remove_prefix(2);
    } else if (rest.starts_with(">")) {
      rest.remove_prefix(1);
    } else {
      continue;
    }
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return meaning_of(rest[0] - '0');
  }
  return std::nullopt;
}

Tensor upright(const Tensor& pixels, int orientation) {
  if (orientation <= 1 || orientation > 8) return pixels;
  const bool swap_axes = orientation >= 5;
  const bool flip_rows = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool flip_columns = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;

  constexpr std::int64_t kChannels = 3;
  const std::int64_t height = pixels.shape()[0];
  const std::int64_t width = pixels.shape()[1];
  const std::int64_t row_step = (flip_rows ? -width : width) * kChannels;
  const std::int64_t column_step = flip_columns ? -kChannels : kChannels;
  const auto* source = static_cast<const std::uint8_t*>(pixels.data()) +
                       ((flip_rows ? (height - 1) * width : 0) + (flip_columns ? width - 1 : 0)) * kChannels;

  Tensor turned = Tensor::zeros(DType::kUInt8, swap_axes ? Dims{width, height, kChannels} : pixels.shape());
  auto* destination = static_cast<std::uint8_t*>(turned.mutable_data());
  const std::int64_t step_y = swap_axes ? column_step : row_step;
  const std::int64_t step_x = swap_axes ? row_step : column_step;
  for (std::int64_t y = 0; y < turned.shape()[0]; ++y) {
    for (std::int64_t x = 0; x < turned.shape()[1]; ++x) {
      std::memcpy(destination, source + y * step_y + x * step_x, kChannels);
      destination += kChannels;
    }
  }
  return turned;
}

}  // namespace portfire
