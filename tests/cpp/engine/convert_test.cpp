#include "engine/libtorch/convert.h"

#include <ATen/Functions.h>
#include <ATen/ops/from_blob.h>

#include "../archive/expect_error.h"

namespace portfire::libtorch {
namespace {

using test::expect_error;

constexpr DType kAll[] = {DType::kBool,  DType::kUInt8,   DType::kInt8,     DType::kInt16,   DType::kInt32,
                          DType::kInt64, DType::kFloat16, DType::kBFloat16, DType::kFloat32, DType::kFloat64};

TEST(Convert, SharesElementsBothWaysInEveryDType) {
  for (const DType dtype : kAll) {
    const Tensor ours = Tensor::zeros(dtype, {2, 3});
    const at::Tensor theirs = to_torch(ours);
    EXPECT_EQ(theirs.data_ptr(), ours.data()) << name_of(dtype);
    EXPECT_EQ(theirs.scalar_type(), scalar_type_of(dtype));
    const Tensor back = from_torch(theirs);
    EXPECT_EQ(back.data(), ours.data());
    EXPECT_EQ(back, ours);
  }
}

TEST(Convert, NamesEveryDTypeAsTorchDoes) {
  for (const DType dtype : kAll) EXPECT_EQ(dtype_of(scalar_type_of(dtype)), dtype);
  EXPECT_EQ(scalar_type_of(DType::kBool), at::kBool);
  EXPECT_EQ(scalar_type_of(DType::kBFloat16), at::kBFloat16);
  EXPECT_EQ(scalar_type_of(DType::kFloat64), at::kDouble);
}

TEST(Convert, TheTorchTensorKeepsOurElementsAlive) {
  at::Tensor theirs;
  {
    const Tensor ours = Tensor::copy_of(std::vector<float>{1, 2}, {2});
    theirs = to_torch(ours);
  }
  EXPECT_TRUE(theirs.equal(at::tensor({1.0F, 2.0F})));
}

TEST(Convert, OurTensorKeepsTorchsElementsAlive) {
  Tensor ours;
  {
    const at::Tensor theirs = at::tensor({1.0F, 2.0F});
    ours = from_torch(theirs);
  }
  EXPECT_EQ(ours, Tensor::copy_of(std::vector<float>{1, 2}, {2}));
}

TEST(Convert, KeepsStrides) {
  const at::Tensor theirs = at::arange(6, at::kFloat).view({2, 3}).t();
  const Tensor ours = from_torch(theirs);
  EXPECT_EQ(ours.data(), theirs.data_ptr());
  EXPECT_EQ(ours.strides(), (Dims{1, 3}));
  EXPECT_EQ(ours.contiguous(), Tensor::copy_of(std::vector<float>{0, 3, 1, 4, 2, 5}, {3, 2}));
  EXPECT_TRUE(to_torch(ours).equal(theirs));
}

TEST(Convert, ConvertsEmptyTensorsAndScalars) {
  EXPECT_EQ(from_torch(at::zeros({0, 3})).shape(), (Dims{0, 3}));
  EXPECT_EQ(to_torch(Tensor::zeros(DType::kFloat32, {0, 3})).sizes(), (at::IntArrayRef{0, 3}));
  EXPECT_EQ(from_torch(at::scalar_tensor(2.0)).rank(), 0U);
  EXPECT_EQ(to_torch(Tensor::zeros(DType::kInt64, {})).dim(), 0);
}

TEST(Convert, WritesOutWhatIsStoredOtherwise) {
  const at::Tensor dense = at::tensor({1.0F, 2.0F});
  EXPECT_EQ(from_torch(dense.to_sparse()), Tensor::copy_of(std::vector<float>{1, 2}, {2}));
  EXPECT_EQ(from_torch(at::imag(at::conj(at::complex(dense, dense)))), Tensor::copy_of(std::vector<float>{-1, -2}, {2}));
}

TEST(Convert, RefusesDTypesThatItDoesNotHave) {
  expect_error([] { (void)from_torch(at::zeros({1}, at::kComplexFloat)); }, ErrorCode::kUnsupported,
               "a tensor of dtype ComplexFloat; convert it in the model");
}

TEST(Convert, RefusesMoreAxesThanItHas) {
  const std::vector<std::int64_t> sizes(17, 1);
  expect_error([&] { (void)from_torch(at::zeros(sizes)); }, ErrorCode::kUnsupported, "rank 17");
}

TEST(Convert, RefusesAnOutputThatIsNoTensor) {
  expect_error([] { (void)flatten(c10::IValue("text")); }, ErrorCode::kUnsupported, "an output of type String; ");
}

}  // namespace
}  // namespace portfire::libtorch
