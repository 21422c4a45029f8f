#include "engine/graph/kernels/direct/eight_bits.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "engine/graph/kernels/direct/linear.h"
#include "engine/graph/kernels/direct/rows.h"
#include "engine/graph/kernels/packed_linear.h"
#include "variants.h"

namespace portfire::graph::direct {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

/// Rows as bytes, and room for them.
struct Rounded {
  Rounded(std::int64_t rows, std::int64_t inputs)
      : bytes(static_cast<std::size_t>(rows * ((inputs + 3) / 4) * 4)), worth(static_cast<std::size_t>(rows)), zero(static_cast<std::size_t>(rows)) {}
  Bytes view() { return {.values = bytes.data(), .worth = worth.data(), .zero = zero.data()}; }

  std::vector<std::uint8_t> bytes;
  std::vector<float> worth;
  std::vector<std::int32_t> zero;
};

/// As the header says it.
Rounded plainly_rounded(const at::Tensor& x) {
  const std::int64_t rows = x.size(0), inputs = x.size(1), length = (inputs + 3) / 4 * 4;
  Rounded out(rows, inputs);
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* const from = x.const_data_ptr<float>() + r * inputs;
    const auto at = static_cast<std::size_t>(r);
    if (!std::all_of(from, from + inputs, [](float value) { return std::isfinite(value); })) {
      out.worth[at] = kNan;
      continue;
    }
    const float low = std::min(0.0F, *std::min_element(from, from + inputs)), high = std::max(0.0F, *std::max_element(from, from + inputs));
    out.worth[at] = std::max(high / 255 - low / 255, std::numeric_limits<float>::min());
    const float inverse = 1 / out.worth[at];
    out.zero[at] = static_cast<std::int32_t>(std::lrint(-low * inverse));
    for (std::int64_t k = 0; k < inputs; ++k) {
      const std::int64_t value = std::lrint(from[k] * inverse) + out.zero[at];
      out.bytes[static_cast<std::size_t>(r * length + k)] = static_cast<std::uint8_t>(std::clamp<std::int64_t>(value, 0, 255));
    }
  }
  return out;
}

class EightBitsTest : public testing::Test {
 protected:
  void SetUp() override {
    at::manual_seed(8);
    if (eight_bits() == nullptr) GTEST_SKIP() << "this processor does not multiply bytes";
  }
};

/// A weight of bytes, as kernels take it.
struct Weight {
  Weight(std::int64_t outputs, std::int64_t inputs) : Weight(at::randint(-127, 128, {outputs, inputs})) {}
  explicit Weight(const at::Tensor& numbers) : values(numbers.to(at::kFloat)) {
    values.select(1, 0).fill_(-127);  // so that nothing is rounded
    packed = packed_linear_weight(values, Kept::kInt8);
    bias = packed_bias(at::randn({values.size(0)}), values.size(0));
  }

  LinearOfBytes task(const Bytes& x, const at::Tensor& other, at::Tensor& y) const {
    return {.linear = {.kept = Kept::kInt8, .weight = packed.words.const_data_ptr<std::int32_t>(), .scale = packed.scale.const_data_ptr<float>(),
                       .bias = bias.const_data_ptr<float>(), .other = other.defined() ? other.const_data_ptr<float>() : nullptr, .low = -kInf, .high = kInf,
                       .y = y.mutable_data_ptr<float>(), .inputs = values.size(1), .outputs = values.size(0)},
            .x = x, .sums = packed.sums.const_data_ptr<std::int32_t>()};
  }

  at::Tensor values, bias;
  LinearWeight packed;
};

TEST_F(EightBitsTest, RowsAreRoundedAsTheHeaderSays) {
  for (const std::int64_t inputs : {1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 64, 100}) {
    at::Tensor x = at::randn({12, inputs});
    x[1].zero_();
    x[2].abs_();
    x[3].abs_().neg_();
    x[4].fill_(5);
    x[5].mul_(1e-41F);  // not normal
    x[6].sign_().mul_(3e38F);
    x[7][inputs - 1] = kNan;
    x[8][inputs / 2] = kInf;
    x[9][0] = -kInf;
    x[10][0] = -1e6F;
    Rounded found(12, inputs);
    eight_bits()->round_rows(x.const_data_ptr<float>(), inputs, 0, 5, found.view());
    eight_bits()->round_rows(x.const_data_ptr<float>(), inputs, 5, 12, found.view());
    const Rounded expected = plainly_rounded(x);
    const std::int64_t length = (inputs + 3) / 4 * 4;
    for (std::int64_t r = 0; r < 12; ++r) {
      SCOPED_TRACE(std::to_string(inputs) + " inputs, row " + std::to_string(r));
      const auto at = static_cast<std::size_t>(r);
      ASSERT_EQ(std::isnan(found.worth[at]), r >= 7 && r <= 9);
      if (std::isnan(found.worth[at])) continue;
      ASSERT_EQ(found.worth[at], expected.worth[at]);
      ASSERT_EQ(found.zero[at], expected.zero[at]);
      for (std::int64_t k = 0; k < inputs; ++k) {
        const auto place = static_cast<std::size_t>(r * length + k);
        ASSERT_EQ(found.bytes[place], expected.bytes[place]) << k;
        if (r != 5) {
          ASSERT_LE(std::abs(expected.worth[at] * static_cast<float>(expected.bytes[place] - expected.zero[at]) - x[r][k].item<float>()), expected.worth[at] * 1.001F);
        }
      }
    }
  }
}

TEST_F(EightBitsTest, SumsAreExactForEverySize) {
  for (const std::int64_t inputs : {1, 3, 4, 5, 19, 64, 131}) {
    for (const std::int64_t outputs : {1, 8, 16, 17, 33, 70, 131, 260}) {
      const Weight weight(outputs, inputs);
      const std::int64_t panels = weight.packed.words.size(0);
      for (const std::int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 21}) {
        SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(inputs) + " x " + std::to_string(outputs));
        const at::Tensor x = at::randn({rows, inputs}), other = at::randn({rows, outputs});
        at::Tensor y = at::zeros({rows + 1, outputs});
        Rounded bytes = plainly_rounded(x);
        LinearOfBytes task = weight.task(bytes.view(), other, y);
        task.linear.low = -100;
        task.linear.high = 300;
        eight_bits()->linear(task, 0, rows, 0, panels / 2);  // as two threads would
        eight_bits()->linear(task, 0, rows, panels / 2, panels);
        for (std::int64_t r = 0; r < rows; ++r) {
          const auto at = static_cast<std::size_t>(r);
          for (std::int64_t o = 0; o < outputs; ++o) {
            std::int64_t sum = 0;
            const float* const w = weight.values.const_data_ptr<float>() + o * inputs;
            for (std::int64_t k = 0; k < inputs; ++k) sum += static_cast<std::int64_t>(w[k]) * (bytes.bytes[static_cast<std::size_t>(r * ((inputs + 3) / 4) * 4 + k)] - bytes.zero[at]);
            const float value = std::fma(static_cast<float>(sum), bytes.worth[at], weight.bias[o].item<float>()) + other[r][o].item<float>();
            ASSERT_EQ(y[r][o].item<float>(), std::clamp(value, -100.0F, 300.0F)) << r << " " << o;
          }
        }
        ASSERT_EQ(y[rows].abs().sum().item<float>(), 0);
      }
    }
  }
}

TEST_F(EightBitsTest, TheLargestSumsFit) {
  const Weight weight(at::zeros({3, kMostInputsOfBytes}) + at::tensor({127, -127, 1}).view({3, 1}));
  const LinearWeight longer = packed_linear_weight(at::randn({2, kMostInputsOfBytes + 1}), Kept::kInt8);
  EXPECT_FALSE(longer.sums.defined());  // it meets rows of float32
  at::Tensor x = at::full({3, kMostInputsOfBytes}, 255.0F), y = at::zeros({3, 3});
  x[1].neg_();
  x[2].zero_();
  Rounded bytes(3, kMostInputsOfBytes);
  eight_bits()->round_rows(x.const_data_ptr<float>(), kMostInputsOfBytes, 0, 3, bytes.view());
  weight.bias.zero_();
  eight_bits()->linear(weight.task(bytes.view(), {}, y), 0, 3, 0, 1);
  const float most = 255.0F * 127 * kMostInputsOfBytes;
  EXPECT_EQ(y[0][0].item<float>(), most - 2 * 127 * 255);  // of which the first of each weight is -127
  EXPECT_EQ(y[0][1].item<float>(), -most);
  EXPECT_EQ(y[1][1].item<float>(), most);
  EXPECT_EQ(y[2].abs().sum().item<float>(), 0);
}

TEST_F(EightBitsTest, ARowIsTheSameAmongOthersAndOnAnyNumberOfThreads) {
  const std::vector<std::int64_t> sizes{515, 203};
  const LinearWeight weight = packed_linear_weight(at::randn({157, 203}), Kept::kInt8);
  ASSERT_TRUE(weight.sums.defined());
  const at::Tensor bias = packed_bias(at::randn({157}), 157), x = at::randn(sizes);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor whole = linear(x, weight, bias, {}, kUnbounded);
  for (std::int64_t r = 0; r < 40; ++r) ASSERT_TRUE(at::equal(linear(x.narrow(0, r, 1), weight, bias, {}, kUnbounded)[0], whole[r])) << r;
  for (const std::int64_t together : {2, 3, 4, 5, 6, 7, 8, 9, 256, 257}) {
    ASSERT_TRUE(at::equal(linear(x.narrow(0, 1, together), weight, bias, {}, kUnbounded), whole.narrow(0, 1, together))) << together;
  }
  at::set_num_threads(kMostThreads);
  EXPECT_TRUE(at::equal(linear(x, weight, bias, {}, kUnbounded), whole));
  at::set_num_threads(before);
}

TEST_F(EightBitsTest, NoRowTellsAnotherThatItIsNoNumber) {
  const LinearWeight weight = packed_linear_weight(at::randn({40, 50}), Kept::kInt8);
  const at::Tensor bias = packed_bias({}, 40), x = at::randn({9, 50});
  const at::Tensor clean = linear(x, weight, bias, {}, {.low = 0, .high = 1});
  for (const float strange : {kNan, kInf, -kInf}) {
    at::Tensor y = x.clone();
    y[3][49] = strange;
    const at::Tensor found = linear(y, weight, bias, {}, {.low = 0, .high = 1});
    EXPECT_TRUE(found[3].isnan().all().item<bool>());
    EXPECT_TRUE(at::equal(found.narrow(0, 0, 3), clean.narrow(0, 0, 3)));
    EXPECT_TRUE(at::equal(found.narrow(0, 4, 5), clean.narrow(0, 4, 5)));
  }
}

TEST_F(EightBitsTest, ALayerIsAsNearAsItsBytesAllow) {
  const at::Tensor weight = at::randn({70, 301}), bias = at::randn({70});
  const LinearWeight narrow = packed_linear_weight(weight, Kept::kInt8);
  const at::Tensor rows = embedding(narrow, at::arange(70));
  for (const at::Tensor& x : {at::randn({0, 301}), at::randn({301}), at::randn({2, 3, 301}) * 40 + 7, at::randn({301, 290}).t()}) {
    const at::Tensor exact = at::linear(x, rows, bias), other = at::randn(exact.sizes());
    const at::Tensor zero = at::zeros({1});
    const at::Tensor worth = x.numel() == 0 ? zero : (at::maximum(x.amax(-1, true), zero) - at::minimum(x.amin(-1, true), zero)) / 255;
    const at::Tensor bound = worth * (rows.abs().sum(1) + 1) + 1e-3;  // a value is off by its own rounding and that of the zero, half each
    const auto answer = [&](Epilogue epilogue, torch::jit::Stack stack) {
      packed_linear(narrow, bias, std::move(epilogue))->run(stack);
      return stack.at(0).toTensor();
    };
    EXPECT_TRUE(((answer({}, {x}) - exact).abs() <= bound).all().item<bool>());
    EXPECT_TRUE(((answer({.activation = "relu", .adds = true}, {x, other}) - at::relu(exact + other)).abs() <= bound).all().item<bool>());
  }
}

}  // namespace
}  // namespace portfire::graph::direct
