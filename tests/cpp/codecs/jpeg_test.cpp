#include <gmock/gmock.h>

#include <portfire/codecs.h>

#include "helpers.h"

namespace portfire {
namespace {

using testing::HasSubstr;

std::string refused_jpeg(const Bytes& bytes) {
  return refusal(ErrorCode::kInvalidInput, [&] { decode_image(bytes, "x.jpg"); });
}

/// The picture with byte `offset` of its frame header set; 0 is the first after the marker.
Bytes with_frame_byte(std::size_t offset, std::initializer_list<int> values) {
  Bytes bytes = test_data("images/jpeg444.jpg");
  std::size_t at = text_of(bytes).find("\xff\xc0") + 2 + offset;
  for (const int value : values) bytes[at++] = static_cast<std::byte>(value);
  return bytes;
}

TEST(Jpeg, AHugeHeaderIsRefusedBeforeMemoryIsTaken) {
  EXPECT_EQ(refused_jpeg(with_frame_byte(3, {0xea, 0x60, 0xea, 0x60})),
            "x.jpg: 60000 x 60000 pixels; at most 67108864 pixels are decoded");
}

TEST(Jpeg, TwelveBitsAreRefused) { EXPECT_THAT(refused_jpeg(with_frame_byte(2, {12})), HasSubstr("precision 12")); }

TEST(Jpeg, ScansWithoutEndAreRefused) {
  EXPECT_THAT(refused_jpeg(test_data("images/refused/scans127.jpg")), HasSubstr("more than 100 scans"));
}

TEST(Jpeg, AMissingRestartMarkerIsRefused) {
  Bytes bytes = test_data("images/restarts.jpg");
  const std::size_t marker = text_of(bytes).find("\xff\xd1");
  ASSERT_NE(marker, std::string_view::npos);
  bytes[marker + 1] = std::byte{0xd5};
  EXPECT_THAT(refused_jpeg(bytes), HasSubstr("truncated, damaged or unknown kind of JPEG"));
}

TEST(Jpeg, ACodeThatNoTableHoldsIsRefused) {
  Bytes bytes = test_data("images/grey.jpg");
  const std::size_t scan = text_of(bytes).find("\xff\xda");
  for (std::size_t at = scan + 12; at + 2 < bytes.size(); at += 2) {
    bytes[at] = std::byte{0xff};
    bytes[at + 1] = std::byte{0};
  }
  EXPECT_THAT(refused_jpeg(bytes), HasSubstr("truncated, damaged or unknown kind of JPEG"));
}

TEST(Jpeg, BytesAfterTheEndAreAllowed) {
  Bytes bytes = test_data("images/grey.jpg");
  const Tensor pixels = decode_image(bytes);
  bytes.insert(bytes.end(), 100, std::byte{0});
  EXPECT_EQ(decode_image(bytes), pixels);
}

TEST(Jpeg, NothingIsPrinted) {
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  refused_jpeg(with_frame_byte(2, {12}));
  refused_jpeg(test_data("images/refused/scans127.jpg"));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

}  // namespace
}  // namespace portfire
