#include <gmock/gmock.h>

#include <array>

#include <portfire/codecs.h>

#include "helpers.h"

namespace portfire {
namespace {

using testing::HasSubstr;

std::string refused_png(const Bytes& bytes) {
  return refusal(ErrorCode::kInvalidInput, [&] { decode_image(bytes, "x.png"); });
}

TEST(Png, EveryAlphaIsCompositedAsPillowDoes) {
  const Tensor pixels = decode_image(test_data("images/alpha_pairs/input.png"));
  EXPECT_EQ(pixels.shape(), (Dims{256, 256, 3}));
  EXPECT_EQ(pixels, decode_image(test_data("images/alpha_pairs/expected.png")));
}

TEST(Png, AHugeHeaderIsRefusedBeforeMemoryIsTaken) {
  EXPECT_EQ(refused_png(test_data("images/refused/huge.png")),
            "x.png: 60000 x 60000 pixels; at most 67108864 pixels are decoded");
}

TEST(Png, AnIndexPastThePaletteIsRefused) {
  EXPECT_THAT(refused_png(test_data("images/refused/index_past_palette.png")), HasSubstr("past the palette"));
}

TEST(Png, AChunkLongerThanTheFileIsRefusedBeforeMemoryIsTaken) {
  Bytes bytes = test_data("images/raw_profile.png");
  bytes[33] = std::byte{0x40};  // the first byte of zTXt's length: 1 GiB
  EXPECT_EQ(refused_png(bytes), "x.png: truncated or damaged PNG (the file ends in a chunk)");
}

TEST(Png, TooFewRowsAreRefused) {
  EXPECT_THAT(refused_png(test_data("images/refused/too_few_rows.png")), HasSubstr("truncated or damaged PNG"));
}

TEST(Png, AFlippedBitIsRefused) {
  const Bytes whole = test_data("images/rgb8.png");
  for (const std::size_t at : {std::size_t{18}, std::size_t{60}, whole.size() / 2, whole.size() - 14}) {
    Bytes bytes = whole;
    bytes[at] ^= std::byte{4};
    EXPECT_THAT(refused_png(bytes), HasSubstr("truncated or damaged PNG")) << at;
  }
}

TEST(Png, NothingIsPrinted) {
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  refused_png(test_data("images/refused/too_few_rows.png"));
  decode_image(test_data("images/text_bomb_is_skipped.png"));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

TEST(Png, WhatIsEncodedDecodesToItself) {
  const Tensor image = decode_image(test_data("images/jpeg444.jpg"));
  EXPECT_EQ(decode_image(encode_png(image)), image);
}

TEST(Png, GreyIsEncodedAsGrey) {
  const Tensor grey = Tensor::copy_of(std::vector<std::uint8_t>{0, 7, 255, 128, 3, 9}, {2, 3});
  const Bytes bytes = encode_png(grey);
  EXPECT_EQ(bytes[25], std::byte{0}) << "colour type";
  EXPECT_EQ(decode_image(bytes), Tensor::copy_of(std::vector<std::uint8_t>{0,   0,   0,   7, 7, 7, 255, 255, 255,
                                                                           128, 128, 128, 3, 3, 3, 9,   9,   9},
                                                 {2, 3, 3}));
}

TEST(Png, AStridedPictureIsEncoded) {
  std::array<std::uint8_t, 6> columns{1, 2, 3, 4, 5, 6};  // of a 2 x 3 picture
  const Tensor strided = Tensor::external({.data = columns.data(), .dtype = DType::kUInt8, .shape = {2, 3},
                                           .strides = {1, 2}});
  EXPECT_EQ(encode_png(strided), encode_png(Tensor::copy_of(std::vector<std::uint8_t>{1, 3, 5, 2, 4, 6}, {2, 3})));
}

TEST(Png, OnlyPicturesAreEncoded) {
  for (const Tensor& tensor : {Tensor::zeros(DType::kFloat32, {2, 2, 3}), Tensor::zeros(DType::kUInt8, {2, 2, 4}),
                               Tensor::zeros(DType::kUInt8, {2}), Tensor::zeros(DType::kUInt8, {0, 2, 3})}) {
    const std::string why = refusal(ErrorCode::kInvalidArgument, [&] { encode_png(tensor); });
    EXPECT_THAT(why, HasSubstr("uint8 [H, W, 3] or [H, W]"));
  }
}

}  // namespace
}  // namespace portfire
