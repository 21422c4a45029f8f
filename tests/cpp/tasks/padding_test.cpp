#include "tasks/padding.h"

#include <cstdint>

#include "../archive/expect_error.h"
#include "fake_engine.h"

namespace portfire {
namespace {

const Dimension kBatch{.symbol = "N"};
const Dimension kLength{.symbol = "L"};

MethodSpec forward_of(std::optional<double> padding) {
  TensorSpec ids;
  ids.dtype = DType::kInt64;
  ids.shape = {kBatch, kLength, {.size = 2, .symbol = {}}};
  ids.padding = padding;
  return {.name = "forward", .inputs = {ids}, .outputs = {}};
}

bool may_share(std::optional<double> padding, const Dims& a, const Dims& b) {
  const MethodSpec forward = forward_of(padding);
  const std::vector<Tensor> first{Tensor::zeros(DType::kInt64, a)};
  const std::vector<Tensor> second{Tensor::zeros(DType::kInt64, b)};
  return may_share_batch(&forward, first, second);
}

TEST(Padding, LetsOnlySymbolicAxesDiffer) {
  EXPECT_TRUE(may_share(0, {3, 2}, {5, 2}));
  EXPECT_FALSE(may_share(std::nullopt, {3, 2}, {5, 2})) << "nothing says that it may be filled up";
  EXPECT_TRUE(may_share(std::nullopt, {3, 2}, {3, 2}));
  EXPECT_FALSE(may_share(0, {3, 2}, {3, 1}));
  EXPECT_FALSE(may_share(0, {3, 2}, {3}));
}

TEST(Padding, NeedsOneDtypeAndASignatureForSizesToDiffer) {
  const std::vector<Tensor> ids{Tensor::zeros(DType::kInt64, {3, 2})};
  const std::vector<Tensor> others{Tensor::zeros(DType::kFloat32, {3, 2})};
  const std::vector<Tensor> longer{Tensor::zeros(DType::kInt64, {4, 2})};
  const MethodSpec forward = forward_of(0);
  EXPECT_FALSE(may_share_batch(&forward, ids, others));
  EXPECT_FALSE(may_share_batch(nullptr, ids, longer));
  EXPECT_FALSE(may_share_batch(&forward, ids, {}));
}

TEST(Padding, FillsUpAtTheEndOfEachAxis) {
  const test::FakeEngine engine({});
  std::vector<Tensor> tensors{Tensor::copy_of(std::vector<std::int64_t>{1, 2, 3, 4}, {2, 2}),
                              Tensor::copy_of(std::vector<std::int64_t>{5, 6, 7}, {1, 3})};
  fill_up(tensors, 9, engine);
  EXPECT_EQ(tensors[0], Tensor::copy_of(std::vector<std::int64_t>{1, 2, 9, 3, 4, 9}, {2, 3}));
  EXPECT_EQ(tensors[1], Tensor::copy_of(std::vector<std::int64_t>{5, 6, 7, 9, 9, 9}, {2, 3}));
}

TEST(Padding, CopiesRowByRowWhateverTheRank) {
  const test::FakeEngine engine({});
  std::vector<Tensor> tensors{Tensor::copy_of(std::vector<float>{1, 2, 3, 4}, {2, 2, 1}), Tensor::zeros(DType::kFloat32, {2, 3, 2})};
  fill_up(tensors, -1, engine);
  EXPECT_EQ(tensors[0], Tensor::copy_of(std::vector<float>{1, -1, 2, -1, -1, -1, 3, -1, 4, -1, -1, -1}, {2, 3, 2}));
}

TEST(Padding, LeavesEqualShapesWhereTheyLie) {
  const test::FakeEngine engine({});
  const Tensor one = Tensor::zeros(DType::kInt64, {3});
  std::vector<Tensor> tensors{one, one};
  fill_up(tensors, 0, engine);
  EXPECT_EQ(tensors[0].data(), one.data());
}

TEST(Padding, FillsHalfWithZerosOnly) {
  const test::FakeEngine engine({});
  std::vector<Tensor> tensors{Tensor::zeros(DType::kFloat16, {1}), Tensor::zeros(DType::kFloat16, {2})};
  test::expect_error([&] { fill_up(tensors, 1, engine); }, ErrorCode::kUnsupported, "samples of float16 can be filled up with 0 only");
}

}  // namespace
}  // namespace portfire
