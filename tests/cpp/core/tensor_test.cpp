#include <portfire/tensor.h>

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include <portfire/error.h>

namespace portfire {
namespace {

TEST(Dims, RefusesARankThatItCannotHold) {
  const std::vector<std::int64_t> sizes(Dims::kMaxRank + 1, 1);
  EXPECT_THROW(Dims(std::span<const std::int64_t>(sizes)), Error);
}

TEST(Tensor, DefaultIsEmptyAndRegular) {
  const Tensor tensor;
  EXPECT_EQ(tensor.numel(), 0);
  EXPECT_EQ(tensor, Tensor::zeros(DType::kFloat32, {0}));
}

TEST(Tensor, ZerosAreAlignedAndContiguous) {
  const Tensor tensor = Tensor::zeros(DType::kInt16, {3, 5});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.data()) % 64, 0u);
  EXPECT_EQ(tensor.strides(), (Dims{5, 1}));
  EXPECT_EQ(tensor.nbytes(), 30u);
  for (const std::int16_t value : tensor.values<std::int16_t>()) EXPECT_EQ(value, 0);
}

TEST(Tensor, CopiesShareElementsAndMovesLeaveAnEmptyTensor) {
  Tensor tensor = Tensor::copy_of<float>({1, 2}, {2});
  const Tensor copy = tensor;
  EXPECT_EQ(copy.data(), tensor.data());
  const Tensor moved = std::move(tensor);
  EXPECT_EQ(moved.data(), copy.data());
  EXPECT_EQ(tensor, Tensor());  // NOLINT(bugprone-use-after-move): moved-from tensors are promised empty
}

TEST(Tensor, ExternalMemoryIsReleasedOnceByTheLastShare) {
  int released = 0;
  float values[2] = {1, 2};
  {
    Tensor tensor = Tensor::external({.data = values, .dtype = DType::kFloat32, .shape = {2}, .release = [](void* count) { ++*static_cast<int*>(count); }, .context = &released});
    const Tensor row = tensor.row(1);
    tensor = Tensor();
    EXPECT_EQ(released, 0);
    EXPECT_EQ(row.values<float>()[0], 2);
  }
  EXPECT_EQ(released, 1);
}

TEST(Tensor, RefusesSizesThatMakeNoSense) {
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  EXPECT_THROW((void)Tensor::zeros(DType::kFloat32, {-1}), Error);
  EXPECT_THROW((void)Tensor::zeros(DType::kFloat32, {kHuge, kHuge}), Error);
  EXPECT_THROW((void)Tensor::zeros(DType::kFloat32, {kHuge / 8}), Error);  // addressable, but not to be had
  EXPECT_THROW((void)Tensor::copy_of<float>({1, 2, 3}, {2}), Error);
}

TEST(Tensor, ElementsAreGivenOnlyAsWhatTheyAre) {
  const Tensor tensor = Tensor::copy_of<float>({1, 2}, {2});
  EXPECT_EQ(tensor.values<float>()[1], 2);
  EXPECT_THROW((void)tensor.values<double>(), Error);
}

TEST(Tensor, ContiguousGathersAnyStrides) {
  float values[6] = {0, 1, 2, 3, 4, 5};
  const auto view = [&](const Dims& shape, const Dims& strides, int first = 0) {
    return Tensor::external({.data = values + first, .dtype = DType::kFloat32, .shape = shape, .strides = strides});
  };
  EXPECT_EQ(view({3, 2}, {1, 3}).contiguous(), Tensor::copy_of<float>({0, 3, 1, 4, 2, 5}, {3, 2}));
  EXPECT_EQ(view({3}, {-2}, 5).contiguous(), Tensor::copy_of<float>({5, 3, 1}, {3}));
  EXPECT_EQ(view({2, 3}, {0, 1}).contiguous(), Tensor::copy_of<float>({0, 1, 2, 0, 1, 2}, {2, 3}));
  EXPECT_EQ(view({2, 1, 2}, {3, 99, 1}).contiguous(), Tensor::copy_of<float>({0, 1, 3, 4}, {2, 1, 2}));
  EXPECT_EQ(view({}, {}, 4).contiguous(), Tensor::copy_of<float>({4}, {}));
  EXPECT_TRUE(view({2, 1, 3}, {3, 77, 1}).is_contiguous());  // the stride of a single element says nothing
  EXPECT_FALSE(view({3, 2}, {1, 3}).is_contiguous());
}

TEST(Tensor, RowsAndReshapesShareMemory) {
  const Tensor tensor = Tensor::copy_of<std::int32_t>({1, 2, 3, 4}, {2, 2});
  EXPECT_EQ(tensor.row(1), Tensor::copy_of<std::int32_t>({3, 4}, {2}));
  EXPECT_EQ(tensor.row(1).data(), static_cast<const std::int32_t*>(tensor.data()) + 2);
  EXPECT_EQ(tensor.reshaped({4}).data(), tensor.data());
  EXPECT_THROW((void)tensor.row(2), Error);
  EXPECT_THROW((void)tensor.row(-1), Error);
  EXPECT_THROW((void)tensor.reshaped({3}), Error);
}

TEST(Tensor, EqualityIsBitForBit) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(Tensor::copy_of<float>({nan}, {1}), Tensor::copy_of<float>({nan}, {1}));
  EXPECT_NE(Tensor::copy_of<float>({1}, {1}), Tensor::copy_of<float>({1}, {1, 1}));
  EXPECT_NE(Tensor::copy_of<float>({1}, {1}), Tensor::copy_of<double>({1}, {1}));
}

TEST(Tensor, PrintsItself) {
  EXPECT_EQ(Tensor::copy_of<float>({1, 2.5, 3}, {3}).to_string(2), "float32 [3] cpu {1, 2.5, …}");
  EXPECT_EQ(Tensor::copy_of<std::int8_t>({-1}, {}).to_string(), "int8 [] cpu {-1}");
  Tensor half = Tensor::zeros(DType::kFloat16, {3});
  auto* bits = static_cast<std::uint16_t*>(half.mutable_data());
  bits[0] = 0x3c00;  // 1
  bits[1] = 0xfbff;  // -65504, the lowest
  bits[2] = 0x0001;  // 2^-24, the smallest
  EXPECT_EQ(half.to_string(), "float16 [3] cpu {1, -65504, 5.96046e-08}");
  Tensor brain = Tensor::zeros(DType::kBFloat16, {1});
  *static_cast<std::uint16_t*>(brain.mutable_data()) = 0x4049;
  EXPECT_EQ(brain.to_string(), "bfloat16 [1] cpu {3.14062}");
}

}  // namespace
}  // namespace portfire
