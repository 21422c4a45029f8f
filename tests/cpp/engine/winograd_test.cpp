#include "engine/graph/kernels/direct/winograd.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "variants.h"

namespace portfire::graph::direct {
namespace {

class WinogradTest : public testing::Test {
 protected:
  WinogradTest() { at::manual_seed(21); }
};

/// How far float32 may be from float64 for sums of so many products of numbers about 1.
void expect_near(const at::Tensor& y, const at::Tensor& exact, std::int64_t inputs) {
  ASSERT_EQ(y.sizes(), exact.sizes());
  const double error = (y.to(at::kDouble) - exact).abs().max().item<double>();
  EXPECT_LT(error, 2e-6 * std::sqrt(9.0 * static_cast<double>(inputs)));
}

at::Tensor exact(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, std::vector<std::int64_t> padding) {
  return at::conv2d(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble), {1, 1}, padding);
}

TEST_F(WinogradTest, ConvolvesWithEveryKindOfVectors) {
  for (const auto& [name, kernels] : variants()) {
    SCOPED_TRACE(name);
    const std::int64_t inputs = 32, outputs = 48, height = 5, width = 8;
    const at::Tensor x = at::randn({2, inputs, height, width}).contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor weight = at::randn({outputs, inputs, 3, 3}), bias = at::randn({outputs});
    at::Tensor y = at::zeros({2, outputs, height, width}).contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor g = at::tensor({1.0F, 0.0F, 0.0F, 0.5F, 0.5F, 0.5F, 0.5F, -0.5F, 0.5F, 0.0F, 0.0F, 1.0F}).view({4, 3});
    const at::Tensor packed = at::matmul(at::matmul(g, weight), g.t())
                                  .permute({2, 3, 0, 1})
                                  .reshape({16, outputs / kernels->width, kernels->width, inputs})
                                  .transpose(2, 3)
                                  .contiguous();
    const at::Tensor zeros = at::zeros({outputs});
    const std::int64_t tiles = 2 * 3 * 4, room = tiles + 3, offset = 0;
    const Winograd task{.x = x.const_data_ptr<float>(), .height = height, .width = width, .inputs = inputs, .pad_height = 1, .pad_width = 1,
                        .tiles_down = 3, .tiles_across = 4, .zeros = zeros.const_data_ptr<float>(), .bias = bias.const_data_ptr<float>(),
                        .low = -1, .high = 20, .y = y.mutable_data_ptr<float>(), .out_height = height, .out_width = width, .outputs = outputs};
    const at::Tensor spread = at::empty({16, room, inputs}), products = at::empty({16, room, outputs});
    kernels->winograd_spread(task, 0, tiles, spread.mutable_data_ptr<float>(), room);
    for (std::int64_t k = 0; k < 16; ++k) {
      kernels->multiply({.x = spread.const_data_ptr<float>() + k * room * inputs, .from = {.across = tiles, .column_step = inputs}, .offsets = &offset,
                         .length = inputs, .weight = packed.const_data_ptr<float>() + k * inputs * outputs, .bias = zeros.const_data_ptr<float>(),
                         .low = kUnbounded.low, .high = kUnbounded.high, .y = products.mutable_data_ptr<float>() + k * room * outputs,
                         .to = {.image_step = outputs}, .outputs = outputs},
                        0, tiles);
    }
    kernels->winograd_gather(task, 0, tiles, products.const_data_ptr<float>(), room);
    expect_near(y, exact(x, weight, bias, {1, 1}).clamp(-1, 20), inputs);
  }
}

TEST_F(WinogradTest, ConvolvesWhateverTheSizesLayoutAndThreads) {
  const int before = at::get_num_threads();
  for (const int threads : {1, kMostThreads}) {
    at::set_num_threads(threads);
    for (const std::int64_t inputs : {32, 80}) {
      const std::int64_t outputs = 112 - inputs;
      const at::Tensor weight = at::randn({outputs, inputs, 3, 3}), bias = at::randn({outputs});
      const WinogradLayer layer(weight, bias), bare(weight, {});
      for (const auto& [images, height, width] : std::vector<std::array<std::int64_t, 3>>{{1, 3, 3}, {1, 4, 9}, {3, 7, 6}, {1, 31, 33}, {2, 24, 26}}) {
        for (const std::vector<std::int64_t>& padding : std::vector<std::vector<std::int64_t>>{{0, 0}, {1, 1}, {2, 0}, {3, 5}}) {
          SCOPED_TRACE(std::to_string(threads) + " threads, " + std::to_string(inputs) + " channels, " + std::to_string(height) + " x " + std::to_string(width));
          const at::Tensor x = at::randn({images, inputs, height, width});
          const std::vector<std::int64_t> sizes{images, outputs, height + 2 * padding[0] - 2, width + 2 * padding[1] - 2};
          const at::Tensor wanted = exact(x, weight, bias, padding);
          expect_near(layer.convolution(x, {}, sizes, padding, kUnbounded), wanted, inputs);
          const at::Tensor last = x.contiguous(at::MemoryFormat::ChannelsLast), other = at::randn(sizes);
          expect_near(layer.convolution(last, other, sizes, padding, {0, 6}), (wanted + other).clamp(0, 6), inputs);
          expect_near(bare.convolution(x.flip(3).flip(3), {}, sizes, padding, kUnbounded), exact(x, weight, at::zeros({outputs}), padding), inputs);
        }
      }
    }
  }
  at::set_num_threads(before);
}

TEST_F(WinogradTest, ANumberThatIsNoneStaysWithinItsTile) {
  const at::Tensor weight = at::randn({32, 32, 3, 3});
  const WinogradLayer layer(weight, {});
  at::Tensor x = at::randn({1, 32, 16, 16});
  const at::Tensor clean = layer.convolution(x, {}, {1, 32, 16, 16}, {1, 1}, {0, 6});
  x.select(1, 3).narrow(1, 8, 1).narrow(2, 8, 1).fill_(std::numeric_limits<float>::quiet_NaN());
  const at::Tensor y = layer.convolution(x, {}, {1, 32, 16, 16}, {1, 1}, {0, 6});
  EXPECT_TRUE(y.narrow(2, 7, 3).narrow(3, 7, 3).isnan().all().item<bool>());
  EXPECT_TRUE(y.narrow(2, 0, 6).equal(clean.narrow(2, 0, 6)));
  EXPECT_TRUE(y.narrow(2, 11, 5).equal(clean.narrow(2, 11, 5)));
}

}  // namespace
}  // namespace portfire::graph::direct
