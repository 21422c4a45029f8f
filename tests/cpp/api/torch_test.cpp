#include <portfire/torch.h>

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include "packages.h"

namespace portfire {
namespace {

TEST(Torch, SharesElementsBothWays) {
  const at::Tensor theirs = at::arange(6, at::kFloat).view({2, 3}).t();
  const Tensor ours = from_torch(theirs);
  EXPECT_EQ(ours.data(), theirs.data_ptr());
  EXPECT_EQ(ours.strides(), (Dims{1, 3}));
  const at::Tensor back = to_torch(ours);
  EXPECT_EQ(back.data_ptr(), theirs.data_ptr());
  EXPECT_TRUE(back.equal(theirs));
}

TEST(Torch, EitherSideKeepsTheElementsAlive) {
  Tensor ours;
  { ours = from_torch(at::ones({1000})); }
  EXPECT_EQ(ours.values<float>()[999], 1);
  at::Tensor theirs;
  { theirs = to_torch(Tensor::copy_of(std::vector<float>(1000, 2), {1000})); }
  EXPECT_EQ(theirs.sum().item<float>(), 2000);
}

TEST(Torch, SharesEveryDType) {
  for (const DType dtype : {DType::kBool, DType::kUInt8, DType::kInt64, DType::kFloat16, DType::kBFloat16, DType::kFloat64}) {
    const Tensor ours = Tensor::zeros(dtype, {2});
    const Tensor back = from_torch(to_torch(ours));
    EXPECT_EQ(back.data(), ours.data());
    EXPECT_EQ(back.dtype(), dtype);
  }
}

TEST(Torch, FeedsAModelAndReadsItsOutput) {
  const Model model = Model::load(test::kTraced);
  EXPECT_TRUE(to_torch(model.forward(from_torch(at::ones({2})))).equal(at::full({2}, 3.0F)));
}

}  // namespace
}  // namespace portfire
