#include <portfire/error.h>
#include <portfire/tensor.h>

#include <gtest/gtest.h>

namespace portfire {
namespace {

TEST(DType, NamesGoThereAndBack) {
  for (int k = 0; k <= static_cast<int>(DType::kFloat64); ++k) {
    const auto dtype = static_cast<DType>(k);
    EXPECT_EQ(dtype_from_name(name_of(dtype)), dtype);
  }
  EXPECT_EQ(size_of(DType::kBFloat16), 2u);
  EXPECT_EQ(size_of(DType::kInt64), 8u);
  EXPECT_FALSE(is_floating_point(DType::kInt64));
  EXPECT_TRUE(is_floating_point(DType::kFloat16));
}

TEST(DType, UnknownNameListsTheKnown) {
  try {
    (void)dtype_from_name("float8");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_STREQ(error.what(),
                 "unknown dtype \"float8\"; one of bool, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64");
  }
}

TEST(Device, ParsesWhatItPrints) {
  EXPECT_EQ(Device::parse("cpu"), Device{});
  EXPECT_EQ(Device::parse("cuda"), (Device{Device::Kind::kCuda, 0}));
  EXPECT_EQ(Device::parse("cuda:12").to_string(), "cuda:12");
  for (const char* bad : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:01", "cuda:12345", "CPU"}) {
    EXPECT_THROW((void)Device::parse(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace portfire
