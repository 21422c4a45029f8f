#include <algorithm>
#include <filesystem>

#include <gmock/gmock.h>

#include <portfire/codecs.h>

#include "helpers.h"

namespace portfire {
namespace {

using testing::HasSubstr;

/// The pictures that have their pixels beside them.
std::vector<std::string> pictures() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(PORTFIRE_TEST_DATA "/images")) {
    if (entry.path().extension() == ".npy") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Picture : public testing::TestWithParam<std::string> {};

TEST_P(Picture, HasPillowsPixels) {
  const Tensor pixels = decode_image(test_data("images/" + GetParam()), GetParam());
  EXPECT_EQ(pixels, decode_npy(test_data("images/" + GetParam() + ".npy")));
}

TEST_P(Picture, IsRefusedWhenItIsCutShort) {
  const Bytes bytes = test_data("images/" + GetParam());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::string why = refusal(ErrorCode::kInvalidInput, [&] {
      decode_image(std::span(bytes).first(size), "cut");
    });
    ASSERT_THAT(why, HasSubstr("cut: ")) << size << " of " << bytes.size() << " bytes";
  }
}

TEST_P(Picture, IsHeldAgainstThePixelLimit) {
  const Bytes bytes = test_data("images/" + GetParam());
  const std::int64_t count = decode_image(bytes).numel() / 3;
  EXPECT_NO_THROW(decode_image(bytes, "image", count));
  const std::string why = refusal(ErrorCode::kInvalidInput, [&] { decode_image(bytes, "image", count - 1); });
  EXPECT_THAT(why, HasSubstr("pixels; at most"));
}

INSTANTIATE_TEST_SUITE_P(EachKind, Picture, testing::ValuesIn(pictures()), [](const auto& param) {
  std::string name = param.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

TEST(Image, EveryKindIsAmongThePictures) { EXPECT_GE(pictures().size(), 70u); }

TEST(Image, TextIsRefusedWithItsBeginning) {
  EXPECT_EQ(refusal(ErrorCode::kInvalidInput, [] { decode_image(bytes_of("Once\nupon a time"), "seven.png"); }),
            R"(seven.png: not an image (starts with "Once\x0aupo"); PNG or JPEG is needed)");
}

TEST(Image, AnEmptyFileIsRefused) {
  EXPECT_EQ(refusal(ErrorCode::kInvalidInput, [] { decode_image({}, "seven.png"); }),
            "seven.png: empty; PNG or JPEG is needed");
}

}  // namespace
}  // namespace portfire
