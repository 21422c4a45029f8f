#include "tasks/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/half.h"

namespace portfire {
namespace {

using testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

template <typename T>
Tensor vector_of(const std::vector<T>& values) {
  return Tensor::copy_of(values, {static_cast<std::int64_t>(values.size())});
}

Difference compare_floats(const std::vector<float>& actual, const std::vector<float>& expected, double atol = 0,
                          double rtol = 0) {
  return compare(vector_of(actual), vector_of(expected), {.dtype = DType::kFloat32, .atol = atol, .rtol = rtol});
}

TEST(Compare, EqualTensorsHaveNoDifference) {
  const Difference same = compare_floats({1, -2, 0}, {1, -2, 0});
  EXPECT_TRUE(same.within);
  EXPECT_EQ(same.max_abs, 0);
  EXPECT_EQ(same.problem, "");
}

TEST(Compare, TellsTheLargestErrors) {
  const Difference off = compare_floats({1.5F, 8}, {1, 10}, 10);
  EXPECT_TRUE(off.within);
  EXPECT_DOUBLE_EQ(off.max_abs, 2);
  EXPECT_DOUBLE_EQ(off.max_rel, 0.5);
}

TEST(Compare, AllowsTheAbsoluteTolerance) {
  EXPECT_TRUE(compare_floats({1.25F}, {1}, 0.25).within);
  EXPECT_FALSE(compare_floats({1.5F}, {1}, 0.25).within);
}

TEST(Compare, AllowsTheRelativeToleranceOfTheExpectedValue) {
  EXPECT_TRUE(compare_floats({125}, {100}, 0, 0.25).within);
  EXPECT_TRUE(compare_floats({-75}, {-100}, 0, 0.25).within);
  EXPECT_FALSE(compare_floats({100}, {75}, 0, 0.25).within);
}

TEST(Compare, AddsBothTolerances) {
  EXPECT_TRUE(compare_floats({113}, {100}, 1, 0.125).within);
  EXPECT_FALSE(compare_floats({114}, {100}, 1, 0.125).within);
}

TEST(Compare, SaysHowManyValuesAreOff) {
  EXPECT_THAT(compare_floats({1, 2, 3.5F}, {1, 1, 3}, 0.125).problem,
              HasSubstr("2 of 3 values off by up to 1 (tolerance 0.125 + 0 of the value)"));
}

TEST(Compare, HoldsNaNEqualToNaNOnly) {
  EXPECT_TRUE(compare_floats({kNaN}, {kNaN}).within);
  EXPECT_FALSE(compare_floats({kNaN}, {0}, 1e30).within);
  EXPECT_FALSE(compare_floats({0}, {kNaN}, 1e30).within);
}

TEST(Compare, HoldsInfinitiesEqualToThemselvesOnly) {
  EXPECT_TRUE(compare_floats({kInfinity, -kInfinity}, {kInfinity, -kInfinity}).within);
  EXPECT_FALSE(compare_floats({kInfinity}, {-kInfinity}, 1e30, 1).within);
  EXPECT_FALSE(compare_floats({1}, {kInfinity}, 1e30, 1).within);
  EXPECT_EQ(compare_floats({kInfinity}, {1}).max_abs, kInfinity);
}

TEST(Compare, TakesAnotherDTypeForAProblem) {
  const Difference other = compare(vector_of<double>({1}), vector_of<float>({1}), {});
  EXPECT_FALSE(other.within);
  EXPECT_EQ(other.problem, "float64 [1] cpu came out; float32 [1] cpu was expected");
}

TEST(Compare, TakesAnotherShapeForAProblem) {
  const Difference other = compare(vector_of<float>({1}).reshaped({1, 1}), vector_of<float>({1}), {});
  EXPECT_FALSE(other.within);
  EXPECT_EQ(other.problem, "float32 [1, 1] cpu came out; float32 [1] cpu was expected");
}

TEST(Compare, FindsADifferenceInEveryDType) {
  EXPECT_FALSE(compare(vector_of<std::uint8_t>({1}), vector_of<std::uint8_t>({2}), {}).within);
  EXPECT_FALSE(compare(vector_of<std::int8_t>({-1}), vector_of<std::int8_t>({1}), {}).within);
  EXPECT_FALSE(compare(vector_of<std::int16_t>({1}), vector_of<std::int16_t>({300}), {}).within);
  EXPECT_FALSE(compare(vector_of<std::int32_t>({1}), vector_of<std::int32_t>({70'000}), {}).within);
  EXPECT_FALSE(compare(vector_of<std::int64_t>({0}), vector_of<std::int64_t>({std::int64_t{1} << 40}), {}).within);
  EXPECT_FALSE(compare(vector_of<double>({1}), vector_of<double>({1 + 1e-12}), {}).within);
  const bool truth[] = {true};
  const bool lie[] = {false};
  EXPECT_FALSE(compare(Tensor::copy_of<bool>(truth, {1}), Tensor::copy_of<bool>(lie, {1}), {}).within);
}

TEST(Compare, ReadsHalfPrecision) {
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    const auto bits = [dtype](double value) {
      Tensor x = Tensor::zeros(dtype, {1});
      *static_cast<std::uint16_t*>(x.mutable_data()) =
          dtype == DType::kFloat16 ? half_from_double(value) : bfloat16_from_double(value);
      return x;
    };
    EXPECT_DOUBLE_EQ(compare(bits(1.5), bits(1), {}).max_abs, 0.5);
  }
}

TEST(Compare, ComparesStridedTensorsByTheirElements) {
  std::vector<float> memory{1, 9, 2, 9};
  const Tensor strided = Tensor::external({.data = memory.data(), .shape = {2}, .strides = {2}});
  EXPECT_TRUE(compare(strided, vector_of<float>({1, 2}), {}).within);
}

}  // namespace
}  // namespace portfire
