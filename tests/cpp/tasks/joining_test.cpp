#include "tasks/joining.h"

#include <gtest/gtest.h>

#include "../archive/expect_error.h"
#include "fake_engine.h"
#include "tasks/pipeline.h"
#include "tasks/tensor.h"

namespace portfire {
namespace {

using test::expect_error;
using test::FakeEngine;
using Values = std::vector<float>;

TensorSpec spec(const std::string& name, const std::vector<std::string>& axes) {
  TensorSpec made;
  made.name = name;
  for (const std::string& axis : axes) {
    const bool fixed = std::isdigit(static_cast<unsigned char>(axis[0])) != 0;
    made.shape.push_back({.size = fixed ? std::stoll(axis) : -1, .symbol = fixed ? "" : axis});
  }
  return made;
}

TEST(Joins, WhereSamplesAreOnEveryFirstAxisAlone) {
  const auto all = [](const std::vector<TensorSpec>& in, const std::vector<TensorSpec>& out) {
    const MethodSpec forward{"forward", in, out};
    return joins(&forward);
  };
  EXPECT_TRUE(all({spec("x", {"N", "3"})}, {spec("y", {"N"})}));
  EXPECT_TRUE(all({spec("x", {"N", "S"}), spec("m", {"N", "S"})}, {spec("y", {"N", "S", "8"})}));
  EXPECT_FALSE(all({spec("x", {"1", "3"})}, {spec("y", {"1"})}));
  EXPECT_FALSE(all({spec("x", {"N", "3"})}, {spec("y", {"3", "N"})}));
  EXPECT_FALSE(all({spec("x", {"N", "N"})}, {spec("y", {"N"})}));
  EXPECT_FALSE(all({spec("x", {"N", "3"})}, {spec("y", {"N", "N"})}));
  EXPECT_FALSE(all({spec("x", {"N"}), spec("w", {"M"})}, {spec("y", {"N"})}));
  EXPECT_FALSE(all({spec("x", {"N"}), spec("scalar", {})}, {spec("y", {"N"})}));
  EXPECT_FALSE(all({spec("x", {"N"})}, {spec("mean", {})}));
  EXPECT_FALSE(all({}, {spec("y", {"N"})}));
  EXPECT_FALSE(all({spec("x", {"N"})}, {}));
  EXPECT_FALSE(joins(nullptr));
}

TEST(MayBeJoined, WhereAllButTheFirstSizesAgree) {
  const auto zeros = [](DType dtype, const Dims& shape) { return std::vector<Tensor>{Tensor::zeros(dtype, shape)}; };
  const auto base = zeros(DType::kFloat32, {2, 3});
  EXPECT_TRUE(may_be_joined(base, zeros(DType::kFloat32, {5, 3})));
  EXPECT_FALSE(may_be_joined(base, zeros(DType::kFloat32, {2, 4})));
  EXPECT_FALSE(may_be_joined(base, zeros(DType::kFloat64, {2, 3})));
  EXPECT_FALSE(may_be_joined(base, zeros(DType::kFloat32, {2, 3, 1})));
  EXPECT_FALSE(may_be_joined(base, std::vector<Tensor>{base[0], base[0]}));
}

TEST(Joined, PutsRowsOneAfterAnother) {
  const Tensor a = Tensor::copy_of(Values{1, 2}, {1, 2});
  const Tensor b = Tensor::copy_of(Values{3, 4, 5, 6, 7, 8}, {3, 2});
  const std::vector<Tensor> parts{a, b.rows(1, 2), Tensor::zeros(DType::kFloat32, {0, 2})};
  EXPECT_EQ(joined(parts), Tensor::copy_of(Values{1, 2, 5, 6, 7, 8}, {3, 2}));
  EXPECT_EQ(joined({parts.data(), 1}).data(), a.data());  // as it is
}

/// x and w, [N, W] both, to x + w and, from `forward`, anything that a test wants.
struct Sum {
  explicit Sum(FakeEngine::Body body) : engine({{"forward", std::move(body)}}) {}
  static std::vector<NamedTensor> add(std::span<const Tensor> in) {
    Tensor out = Tensor::zeros(DType::kFloat32, in[0].shape());
    for (std::int64_t k = 0; k < out.numel(); ++k) {
      const auto at = static_cast<std::size_t>(k);
      const float value = in[0].values<float>()[at];
      if (value < 0) throw Error(ErrorCode::kInvalidInput, "negative");
      static_cast<float*>(out.mutable_data())[k] = value + in[1].values<float>()[at];
    }
    return {{"output", out}};
  }
  [[nodiscard]] std::vector<TensorOutcome> each(const std::vector<std::vector<NamedTensor>>& calls) const { return pipeline.forward_each(calls); }

  FakeEngine engine;
  std::unique_ptr<Task> task = make_tensor_task();
  MethodSpec forward{"forward", {spec("x", {"N", "W"}), spec("w", {"N", "W"})}, {spec("y", {"N", "W"})}};
  Manifest manifest = [this] { Manifest made; made.methods = {forward}; return made; }();
  Pipeline pipeline{engine, *task, &manifest, &forward, {"x", "w"}, "sum"};
};

Tensor rows(const Values& values, std::int64_t width) { return Tensor::copy_of(values, {static_cast<std::int64_t>(values.size()) / width, width}); }

Values told(const TensorOutcome& outcome) {
  if (const Error* error = std::get_if<Error>(&outcome)) throw *error;
  const Tensor plain = std::get<0>(outcome).at(0).tensor.contiguous();
  return {plain.values<float>().begin(), plain.values<float>().end()};
}

TEST(ForwardEach, PutsCallsOfOneShapeThroughOneForward) {
  const Sum sum(Sum::add);
  const auto got = sum.each({{{"x", rows({1, 2}, 2)}, {"w", rows({10, 20}, 2)}},
                             {{"w", rows({3}, 1)}, {"x", rows({4}, 1)}},  // named in another order
                             {{"x", rows({5, 6, 7, 8}, 2)}, {"w", rows({1, 1, 1, 1}, 2)}}});
  EXPECT_EQ(told(got[0]), (Values{11, 22}));
  EXPECT_EQ(told(got[1]), (Values{7}));
  EXPECT_EQ(told(got[2]), (Values{6, 7, 8, 9}));
  EXPECT_EQ(std::get<0>(got[2])[0].name, "y");
  EXPECT_EQ(sum.engine.forwards, (std::vector<Dims>{{3, 2}, {1, 1}}));
}

TEST(ForwardEach, FindsOutWhichCallSpoiltABatch) {
  const Sum sum(Sum::add);
  const Tensor one = rows({1}, 1);
  const auto got = sum.each({{{"x", one}, {"w", one}}, {{"x", rows({-1}, 1)}, {"w", one}}, {{"x", one}}, {{"x", one}, {"w", rows({1, 2}, 1)}}});
  EXPECT_EQ(told(got[0]), (Values{2}));
  expect_error([&] { told(got[1]); }, ErrorCode::kInvalidInput, "negative");
  expect_error([&] { told(got[2]); }, ErrorCode::kInvalidInput, "w");
  expect_error([&] { told(got[3]); }, ErrorCode::kInvalidInput, "N");
}

TEST(ForwardEach, AProgramThatBreaksItsWordAboutTheFirstAxisIsCalledOneByOne) {
  const Sum sum([](std::span<const Tensor> in) {
    if (in[0].shape()[0] > 1) return std::vector<NamedTensor>{{"output", Tensor::zeros(DType::kFloat32, {1, 1})}};
    return Sum::add(in);
  });
  const auto got = sum.each({{{"x", rows({1}, 1)}, {"w", rows({1}, 1)}}, {{"x", rows({2}, 1)}, {"w", rows({2}, 1)}}});
  EXPECT_EQ(told(got[0]), (Values{2}));
  EXPECT_EQ(told(got[1]), (Values{4}));
}

TEST(ForwardEach, GivesNothingForNothing) { EXPECT_TRUE(Sum(Sum::add).each({}).empty()); }

}  // namespace
}  // namespace portfire
