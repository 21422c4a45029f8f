#include "tasks/check.h"

#include <cmath>
#include <limits>

#include "../archive/expect_error.h"
#include "core/half.h"

namespace portfire {
namespace {

using test::expect_error;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

Dimension fixed(std::int64_t size) { return {.size = size, .symbol = {}}; }
Dimension symbol(const std::string& name) { return {.size = -1, .symbol = name}; }

TensorSpec spec(const std::string& name, DType dtype, std::vector<Dimension> shape) {
  return {.name = name, .dtype = dtype, .shape = std::move(shape), .minimum = {}, .maximum = {}, .layout = {}, .unit = {}};
}

TensorSpec ranged(DType dtype, std::optional<double> minimum, std::optional<double> maximum) {
  TensorSpec one = spec("x", dtype, {symbol("N")});
  one.minimum = minimum;
  one.maximum = maximum;
  return one;
}

MethodSpec forward_of(std::vector<TensorSpec> inputs) {
  return {.name = "forward", .inputs = std::move(inputs), .outputs = {}};
}

Tensor floats(const std::vector<float>& values) {
  return Tensor::copy_of(values, {static_cast<std::int64_t>(values.size())});
}

void check(const MethodSpec& method, const std::vector<Tensor>& inputs) { check_inputs(method, inputs, "digits"); }

void expect_refused(const MethodSpec& method, const std::vector<Tensor>& inputs, const std::string& message) {
  expect_error([&] { check(method, inputs); }, ErrorCode::kInvalidInput, message);
}

const MethodSpec kImages = forward_of({spec("image", DType::kFloat32, {symbol("N"), fixed(1), fixed(8), fixed(8)})});

TEST(CheckInputs, AcceptsWhatTheSignatureSays) {
  EXPECT_NO_THROW(check(kImages, {Tensor::zeros(DType::kFloat32, {1, 1, 8, 8})}));
  EXPECT_NO_THROW(check(kImages, {Tensor::zeros(DType::kFloat32, {7, 1, 8, 8})}));
}

TEST(CheckInputs, NamesTheInputsWhenTheNumberIsWrong) {
  expect_refused(kImages, {}, "digits: forward: 0 inputs; it takes 1 (image)");
  const MethodSpec two = forward_of({spec("a", DType::kInt64, {}), spec("b", DType::kInt64, {})});
  expect_refused(two, {Tensor::zeros(DType::kInt64, {})}, "digits: forward: 1 inputs; it takes 2 (a, b)");
}

TEST(CheckInputs, RefusesAnotherDType) {
  expect_refused(kImages, {Tensor::zeros(DType::kFloat64, {1, 1, 8, 8})},
                 "digits: forward: image: dtype float64; float32 is needed");
}

TEST(CheckInputs, RefusesAnotherRank) {
  expect_refused(kImages, {Tensor::zeros(DType::kFloat32, {1, 8, 8})},
                 "digits: forward: image: shape [1, 8, 8]; [N, 1, 8, 8] is needed");
}

TEST(CheckInputs, RefusesAnotherFixedSize) {
  expect_refused(kImages, {Tensor::zeros(DType::kFloat32, {1, 3, 8, 8})},
                 "digits: forward: image: shape [1, 3, 8, 8]; [N, 1, 8, 8] is needed");
}

TEST(CheckInputs, RefusesAnEmptyBatch) {
  expect_refused(kImages, {Tensor::zeros(DType::kFloat32, {0, 1, 8, 8})},
                 "shape [0, 1, 8, 8] is empty; [N, 1, 8, 8] with sizes of at least 1 is needed");
}

TEST(CheckInputs, HoldsASymbolWithinItsRange) {
  const Dimension batch{.size = -1, .symbol = "N", .least = 2, .most = 4};
  const MethodSpec some = forward_of({spec("x", DType::kFloat32, {batch})});
  EXPECT_NO_THROW(check(some, {Tensor::zeros(DType::kFloat32, {4})}));
  expect_refused(some, {Tensor::zeros(DType::kFloat32, {5})}, "shape [5]; [N] with N of 2 to 4 is needed");
  expect_refused(some, {Tensor::zeros(DType::kFloat32, {1})}, "shape [1]; [N] with N of 2 to 4 is needed");
}

TEST(CheckInputs, BindsASymbolOnceForAllInputs) {
  const MethodSpec pair = forward_of({spec("tokens", DType::kInt64, {symbol("N"), symbol("T")}),
                                      spec("mask", DType::kBool, {symbol("N"), symbol("T")})});
  EXPECT_NO_THROW(check(pair, {Tensor::zeros(DType::kInt64, {2, 5}), Tensor::zeros(DType::kBool, {2, 5})}));
  expect_refused(pair, {Tensor::zeros(DType::kInt64, {2, 5}), Tensor::zeros(DType::kBool, {2, 6})},
                 "mask: shape [2, 6]; [N, T] is needed with T = 5 as before");
}

TEST(CheckInputs, BindsASymbolWithinOneShape) {
  const MethodSpec square = forward_of({spec("x", DType::kFloat32, {symbol("S"), symbol("S")})});
  EXPECT_NO_THROW(check(square, {Tensor::zeros(DType::kFloat32, {3, 3})}));
  expect_refused(square, {Tensor::zeros(DType::kFloat32, {3, 4})}, "with S = 3 as before");
}

TEST(CheckInputs, BindsEverySymbolOfALongSignature) {
  std::vector<TensorSpec> specs;
  std::vector<Tensor> inputs;
  for (int k = 0; k < 40; ++k) {
    specs.push_back(spec("x" + std::to_string(k), DType::kUInt8, {symbol("S" + std::to_string(k))}));
    inputs.push_back(Tensor::zeros(DType::kUInt8, {2}));
  }
  specs.push_back(spec("last", DType::kUInt8, {symbol("S39")}));
  inputs.push_back(Tensor::zeros(DType::kUInt8, {3}));
  expect_refused(forward_of(specs), inputs, "last: shape [3]; [S39] is needed with S39 = 2 as before");
}

TEST(CheckInputs, HoldsEveryElementAgainstTheRange) {
  const MethodSpec unit = forward_of({ranged(DType::kFloat32, 0.0, 1.0)});
  EXPECT_NO_THROW(check(unit, {floats({0, 0.5F, 1})}));
  expect_refused(unit, {floats({0, 0.5F, 1.001F})}, "digits: forward: x: a value is NaN or outside 0 to 1");
  expect_refused(unit, {floats({-0.001F, 0.5F})}, "outside 0 to 1");
}

TEST(CheckInputs, RefusesNaNWhereverABoundIsDeclared) {
  expect_refused(forward_of({ranged(DType::kFloat32, 0.0, 1.0)}), {floats({0, kNaN, 1})}, "NaN");
  expect_refused(forward_of({ranged(DType::kFloat32, 0.0, {})}), {floats({kNaN})}, "NaN or outside 0 to inf");
  expect_refused(forward_of({ranged(DType::kFloat32, {}, 1.0)}), {floats({kNaN})}, "NaN or outside -inf to 1");
  EXPECT_NO_THROW(check(forward_of({ranged(DType::kFloat32, {}, {})}), {floats({kNaN})}));
}

TEST(CheckInputs, LeavesTheOpenSideOfARangeOpen) {
  const MethodSpec positive = forward_of({ranged(DType::kFloat32, 0.0, {})});
  EXPECT_NO_THROW(check(positive, {floats({std::numeric_limits<float>::infinity()})}));
  expect_refused(positive, {floats({-1})}, "outside");
}

template <typename T>
void expect_range_held(T inside, T outside) {
  const MethodSpec small = forward_of({ranged(DTypeOf<T>::value, 0.0, 100.0)});
  EXPECT_NO_THROW(check(small, {Tensor::copy_of(std::vector<T>{inside}, {1})}));
  expect_refused(small, {Tensor::copy_of(std::vector<T>{inside, outside}, {2})}, "outside 0 to 100");
}

TEST(CheckInputs, HoldsTheRangeOfEveryDType) {
  expect_range_held<std::uint8_t>(100, 101);
  expect_range_held<std::int8_t>(100, -1);
  expect_range_held<std::int16_t>(100, 101);
  expect_range_held<std::int32_t>(0, -1);
  expect_range_held<std::int64_t>(99, 1'000'000'000'000);
  expect_range_held<double>(0.5, 100.5);
}

TEST(CheckInputs, HoldsTheRangeOfHalfPrecision) {
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    const MethodSpec unit = forward_of({ranged(dtype, 0.0, 1.0)});
    for (const double value : {0.0, 1.0, 2.0, -1.0, std::nan("")}) {
      Tensor x = Tensor::zeros(dtype, {1});
      *static_cast<std::uint16_t*>(x.mutable_data()) =
          dtype == DType::kFloat16 ? half_from_double(value) : bfloat16_from_double(value);
      if (value >= 0 && value <= 1) {
        EXPECT_NO_THROW(check(unit, {x})) << name_of(dtype) << " " << value;
      } else {
        expect_refused(unit, {x}, "NaN or outside 0 to 1");
      }
    }
  }
}

TEST(CheckInputs, LooksOnlyAtTheElementsOfAStridedInput) {
  const MethodSpec unit = forward_of({ranged(DType::kFloat32, 0.0, 1.0)});
  std::vector<float> memory{0, 9, 1, 9};
  const Tensor every_second = Tensor::external({.data = memory.data(), .shape = {2}, .strides = {2}});
  EXPECT_NO_THROW(check(unit, {every_second}));
  memory[2] = 2;
  expect_refused(unit, {every_second}, "outside");
}

Tensor number(std::int64_t value) { return Tensor::copy_of(std::vector<std::int64_t>{value}, {}); }

TEST(InOrder, PutsNamesInTheirPlaces) {
  const auto ordered = in_order({"a", "b"}, {{"b", number(2)}, {"a", number(1)}}, "m");
  EXPECT_EQ(ordered, (std::vector<Tensor>{number(1), number(2)}));
}

TEST(InOrder, TakesUnnamedTensorsByPlace) {
  const auto ordered = in_order({"a", "b"}, {{"", number(1)}, {"", number(2)}}, "m");
  EXPECT_EQ(ordered, (std::vector<Tensor>{number(1), number(2)}));
}

TEST(InOrder, LeavesTrailingArgumentsToTheirDefaults) {
  EXPECT_EQ(in_order({"a", "b"}, {{"a", number(1)}}, "m").size(), 1U);
}

TEST(InOrder, RefusesWhatDoesNotFit) {
  const auto refuse = [](const std::vector<NamedTensor>& inputs, const std::string& message) {
    expect_error([&] { (void)in_order({"a", "b"}, inputs, "m"); }, ErrorCode::kInvalidInput, message);
  };
  refuse({{"c", number(1)}}, "m: no input \"c\"; its inputs are a, b");
  refuse({{"a", number(1)}, {"a", number(1)}}, "m: input \"a\" is given twice");
  refuse({{"a", number(1)}, {"", number(1)}, {"", number(1)}}, "m: 3 tensors given; its inputs are a, b");
  refuse({{"b", number(1)}}, "m: input \"a\" is missing");
  expect_error([] { (void)in_order({}, {{"a", number(1)}}, "m"); }, ErrorCode::kInvalidInput, "its inputs are none");
}

}  // namespace
}  // namespace portfire
