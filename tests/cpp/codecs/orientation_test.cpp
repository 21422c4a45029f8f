#include "codecs/orientation.h"

#include "helpers.h"

namespace portfire {
namespace {

/// A TIFF structure with one tag.
std::string exif(int type, std::uint32_t value) {
  return std::string("II*\0\x08\0\0\0\x01\0\x12\x01", 12) + static_cast<char>(type) + std::string("\0\x01\0\0\0", 5) +
         little_endian(value) + std::string(4, '\0');
}

std::optional<int> in_exif(const std::string& text) { return orientation_in_exif(bytes_of(text)); }

TEST(Orientation, ExifIsReadWithAndWithoutItsPrefix) {
  EXPECT_EQ(in_exif(exif(3, 6)), 6);
  EXPECT_EQ(in_exif(std::string("Exif\0\0", 6) + exif(3, 6)), 6);
  EXPECT_EQ(in_exif(std::string("Exif\0\0Exif\0\0", 12) + exif(3, 6)), 6);
}

TEST(Orientation, ALongIsReadToo) { EXPECT_EQ(in_exif(exif(4, 8)), 8); }

TEST(Orientation, AValueOfNoMeaningTurnsNothing) {
  EXPECT_EQ(in_exif(exif(3, 0)), 1);
  EXPECT_EQ(in_exif(exif(3, 9)), 1);
  EXPECT_EQ(in_exif(exif(4, 0xffffffff)), 1);
  EXPECT_EQ(in_exif(exif(1, 6)), 1);
  EXPECT_EQ(orientation_in_xmp("tiff:Orientation=\"9\""), 1);
}

TEST(Orientation, DamagedExifSaysNothing) {
  const std::string whole = exif(3, 6);
  EXPECT_EQ(in_exif(""), std::nullopt);
  EXPECT_EQ(in_exif("not a TIFF structure"), std::nullopt);
  for (std::size_t size = 0; size < 20; ++size) EXPECT_EQ(in_exif(whole.substr(0, size)), std::nullopt) << size;
}

TEST(Orientation, XmpIsReadAsAttributeAndAsElement) {
  EXPECT_EQ(orientation_in_xmp("<x tiff:Orientation=\"3\"/>"), 3);
  EXPECT_EQ(orientation_in_xmp("<tiff:Orientation>5</tiff:Orientation>"), 5);
  EXPECT_EQ(orientation_in_xmp("tiff:Orientation tiff:Orientation=\"2\""), 2);
  EXPECT_EQ(orientation_in_xmp("<tiff:Orientation>x"), std::nullopt);
  EXPECT_EQ(orientation_in_xmp("tiff:Orientation="), std::nullopt);
  EXPECT_EQ(orientation_in_xmp(""), std::nullopt);
}

TEST(Orientation, ADamagedProfileSaysNothing) {
  EXPECT_EQ(orientation_in_raw_profile(""), std::nullopt);
  EXPECT_EQ(orientation_in_raw_profile("\nexif\n  4\n49zz"), std::nullopt);
  EXPECT_EQ(orientation_in_raw_profile("\nexif\n  4\n492"), std::nullopt);
}

/// A 2 x 3 picture whose pixels are told apart by their red.
Tensor turned(int orientation) {
  std::vector<std::uint8_t> rgb;
  for (std::uint8_t red = 1; red <= 6; ++red) rgb.insert(rgb.end(), {red, 0, 9});
  return upright(Tensor::copy_of(rgb, {2, 3, 3}), orientation);
}

std::vector<int> reds(const Tensor& image) {
  std::vector<int> values;
  for (std::size_t i = 0; i < image.values<std::uint8_t>().size(); i += 3) {
    values.push_back(image.values<std::uint8_t>()[i]);
    EXPECT_EQ(image.values<std::uint8_t>()[i + 2], 9);
  }
  return values;
}

TEST(Orientation, EachOfEightIsUndone) {
  const std::vector<std::vector<int>> expected{{1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1},
                                               {4, 5, 6, 1, 2, 3}, {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3},
                                               {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Tensor image = turned(orientation);
    EXPECT_EQ(image.shape(), orientation < 5 ? (Dims{2, 3, 3}) : (Dims{3, 2, 3}));
    EXPECT_EQ(reds(image), expected[static_cast<std::size_t>(orientation - 1)]) << orientation;
  }
}

}  // namespace
}  // namespace portfire
