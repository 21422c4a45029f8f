#include "engine/graph/kernels/direct/direct.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/lstm.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/kernels/direct/layer.h"
#include "engine/graph/kernels/packed_linear.h"
#include "variants.h"

namespace portfire::graph::direct {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMuch = std::numeric_limits<float>::infinity();

class Direct : public testing::Test {
 protected:
  Direct() { at::manual_seed(20); }
};

at::Tensor packed(const at::Tensor& weight, std::int64_t width) {
  const std::int64_t panels = (weight.size(0) + width - 1) / width;
  const at::Tensor padded = at::zeros({panels * width, weight.size(1)});
  padded.narrow(0, 0, weight.size(0)).copy_(weight);
  return padded.view({panels, width, -1}).transpose(1, 2).contiguous();
}

TEST_F(Direct, MultipliesWhateverTheNumberOfRowsAndOutputs) {
  for (const auto& [name, kernels] : variants()) {
    for (const std::int64_t rows : {1, 2, 5, 6, 7, 13, 16}) {
      for (const std::int64_t outputs : {1, 3, 4, 7, 8, 9, 16, 17, 24, 33, 40, 64, 65, 120, 260}) {
        SCOPED_TRACE(name + " " + std::to_string(rows) + " x " + std::to_string(outputs));
        const at::Tensor x = at::randn({rows, 19}), weight = at::randn({outputs, 19}), other = at::randn({rows, outputs});
        const at::Tensor bias = at::zeros({(outputs + kernels->width - 1) / kernels->width * kernels->width});
        bias.narrow(0, 0, outputs).normal_();
        const at::Tensor panels = packed(weight, kernels->width);
        const at::Tensor y = at::zeros({rows + 1, outputs});  // a row behind, that must stay
        const std::int64_t offset = 0;
        const Product product{.x = x.const_data_ptr<float>(), .from = {.across = rows, .column_step = 19}, .offsets = &offset, .length = 19,
                              .weight = panels.const_data_ptr<float>(), .bias = bias.const_data_ptr<float>(), .other = other.const_data_ptr<float>(),
                              .low = -1, .high = 3, .y = y.mutable_data_ptr<float>(), .to = {.image_step = outputs}, .outputs = outputs};
        kernels->multiply(product, 0, rows / 2);  // as two threads would
        kernels->multiply(product, rows / 2, rows);
        const at::Tensor expected = (at::linear(x, weight, bias.narrow(0, 0, outputs)) + other).clamp(-1, 3);
        EXPECT_TRUE(at::allclose(y.narrow(0, 0, rows), expected, 1e-5, 1e-5));
        EXPECT_EQ(y[rows].abs().sum().item<float>(), 0);
      }
    }
  }
}

TEST_F(Direct, ScalesAndShiftsEveryNumberOfChannels) {
  for (const auto& [name, kernels] : variants()) {
    for (const std::int64_t channels : {1, 3, 4, 5, 8, 11, 16, 20, 37}) {
      SCOPED_TRACE(name + " " + std::to_string(channels));
      const at::Tensor x = at::randn({7, channels}), scale = at::randn({channels}), shift = at::randn({channels});
      const at::Tensor y = at::zeros({8, channels});
      x.view(-1)[0] = kNan;
      kernels->affine({.x = x.const_data_ptr<float>(), .scale = scale.const_data_ptr<float>(), .shift = shift.const_data_ptr<float>(), .low = 0,
                       .high = kMuch, .y = y.mutable_data_ptr<float>(), .channels = channels},
                      0, 7);
      EXPECT_TRUE(at::allclose(y.narrow(0, 0, 7), (x * scale + shift).clamp_min(0), 1e-5, 1e-6, true));
      EXPECT_EQ(y[7].abs().sum().item<float>(), 0);
    }
  }
}

TEST_F(Direct, PoolsAsLibTorchDoes) {
  for (const auto& [name, kernels] : variants()) {
    for (const std::int64_t channels : {1, 6, 8, 19}) {
      for (const auto& [size, stride, padding] : {std::array{2L, 2L, 0L}, {3L, 2L, 1L}, {3L, 1L, 1L}, {2L, 3L, 0L}, {1L, 1L, 0L}, {5L, 2L, 2L}}) {
        SCOPED_TRACE(name + " " + std::to_string(channels) + " " + std::to_string(size) + "/" + std::to_string(stride));
        const at::Tensor x = at::randn({2, channels, 9, 7}).contiguous(at::MemoryFormat::ChannelsLast);
        x[0][0][3][3] = kNan;
        x[1][channels - 1] = -kMuch;
        const at::Tensor expected = at::max_pool2d(x, {size, size}, {stride, stride}, {padding, padding}).contiguous(at::MemoryFormat::ChannelsLast);
        const at::Tensor y = at::zeros_like(expected);
        std::vector<float> line(static_cast<std::size_t>(7 * channels));
        kernels->max_pool({.x = x.const_data_ptr<float>(), .height = 9, .width = 7, .channels = channels, .kernel_height = size, .kernel_width = size,
                           .stride_height = stride, .stride_width = stride, .pad_height = padding, .pad_width = padding,
                           .y = y.mutable_data_ptr<float>(), .out_height = y.size(2), .out_width = y.size(3)},
                          0, 2 * y.size(2), line.data());
        EXPECT_TRUE(at::allclose(y, expected, 0, 0, true));
      }
    }
  }
}

TEST_F(Direct, ConvolvesEachChannelByItself) {
  for (const auto& [name, kernels] : variants()) {
    for (const std::int64_t channels : {16, 19, 32, 33, 96, 200}) {
      for (const auto& [size, stride, padding, dilation] : {std::array{3L, 1L, 1L, 1L}, {3L, 2L, 1L, 1L}, {5L, 1L, 4L, 2L}, {1L, 1L, 0L, 1L}, {2L, 3L, 0L, 1L}}) {
        SCOPED_TRACE(name + " " + std::to_string(channels) + " " + std::to_string(size) + "/" + std::to_string(stride));
        const at::Tensor x = at::randn({2, channels, 11, 21}).contiguous(at::MemoryFormat::ChannelsLast), weight = at::randn({channels, 1, size, size});
        const at::Tensor bias = at::randn({channels}), turned = weight.permute({2, 3, 1, 0}).contiguous();
        const at::Tensor expected = at::conv2d(x, weight, bias, {stride, stride}, {padding, padding}, {dilation, dilation}, channels);
        const at::Tensor y = at::zeros(expected.sizes()).contiguous(at::MemoryFormat::ChannelsLast);
        const Depthwise task{.x = x.const_data_ptr<float>(), .height = 11, .width = 21, .channels = channels, .kernel_height = size, .kernel_width = size,
                             .stride_height = stride, .stride_width = stride, .pad_height = padding, .pad_width = padding, .dilation_height = dilation,
                             .dilation_width = dilation, .weight = turned.const_data_ptr<float>(), .bias = bias.const_data_ptr<float>(), .low = -2, .high = 2,
                             .y = y.mutable_data_ptr<float>(), .out_height = y.size(2), .out_width = y.size(3)};
        kernels->depthwise(task, 0, y.size(2) + 1);
        kernels->depthwise(task, y.size(2) + 1, 2 * y.size(2));
        EXPECT_TRUE(at::allclose(y, expected.clamp(-2, 2), 1e-5, 1e-5));
      }
    }
  }
}

TEST_F(Direct, ActivatesAsLibTorchDoes) {
  const at::Tensor x = at::cat({at::linspace(-12, 12, 1001), at::full({1}, kMuch), at::full({1}, -kMuch), at::full({1}, -1e38), at::full({1}, -90), at::full({1}, kNan), at::zeros({1})});
  const at::Tensor exact = x.to(at::kDouble);  // in float32 and with AVX-512, its gelu of the largest numbers is none
  const std::vector<std::pair<Activation, at::Tensor>> expected{{Activation::kGelu, at::gelu(exact).to(at::kFloat)}, {Activation::kGeluTanh, at::gelu(exact, "tanh").to(at::kFloat)},
                                                                {Activation::kSilu, at::silu(x)}, {Activation::kSigmoid, at::sigmoid(x)},
                                                                {Activation::kTanh, at::tanh(x)}};
  for (const auto& [name, kernels] : variants()) {
    for (const auto& [activation, right] : expected) {
      SCOPED_TRACE(name + " " + std::to_string(static_cast<int>(activation)));
      const at::Tensor y = x.clone();
      kernels->activate(activation, y.mutable_data_ptr<float>(), y.numel());
      EXPECT_TRUE(at::allclose(y, right, 1e-5, 1e-6, true)) << (y - right).abs().max();
    }
  }
}

TEST_F(Direct, RemembersAsAnLstmDoes) {
  for (const auto& [name, kernels] : variants()) {
    for (const std::int64_t hidden : {1, 6, 8, 19, 64}) {
      SCOPED_TRACE(name + " " + std::to_string(hidden));
      const at::Tensor x = at::randn({9, 7, 5}) * 3, h = at::randn({1, 7, hidden}), c = at::randn({1, 7, hidden});
      // Weights of a size that training gives: larger ones make rounding grow from step to step.
      const at::Tensor w = at::randn({4 * hidden, 5}) * 0.3, u = at::randn({4 * hidden, hidden}) * (0.5 / std::sqrt(static_cast<double>(hidden))), b = at::randn({4 * hidden});
      const auto [expected, last_h, last_c] = at::lstm(x, {h, c}, {w, u, b, b}, true, 1, 0.0, false, false, false);
      const at::Tensor inputs = at::linear(x, w, b + b), cell = c.clone(), packed_u = packed(u, kernels->width);
      const at::Tensor gates = at::zeros({7, 4 * hidden}), zeros = at::zeros({4 * hidden + kernels->width}), y = at::zeros({9, 7, hidden});
      kernels->lstm({.inputs = inputs.const_data_ptr<float>(), .weight = packed_u.const_data_ptr<float>(), .zeros = zeros.const_data_ptr<float>(),
                     .h = h.const_data_ptr<float>(), .c = cell.mutable_data_ptr<float>(), .gates = gates.mutable_data_ptr<float>(),
                     .y = y.mutable_data_ptr<float>(), .y_step = 7 * hidden, .y_row = hidden, .steps = 9, .rows = 7, .hidden = hidden},
                    0, 3);
      kernels->lstm({.inputs = inputs.const_data_ptr<float>(), .weight = packed_u.const_data_ptr<float>(), .zeros = zeros.const_data_ptr<float>(),
                     .h = h.const_data_ptr<float>(), .c = cell.mutable_data_ptr<float>(), .gates = gates.mutable_data_ptr<float>(),
                     .y = y.mutable_data_ptr<float>(), .y_step = 7 * hidden, .y_row = hidden, .steps = 9, .rows = 7, .hidden = hidden},
                    3, 7);
      EXPECT_TRUE(at::allclose(y, expected, 1e-5, 2e-6));
      EXPECT_TRUE(at::allclose(cell, last_c, 1e-5, 2e-6));
    }
  }
}

TEST_F(Direct, AnLstmTakesTheLargestAndNoNumbers) {
  const at::Tensor u = at::zeros({32, 8});
  const Recurrence recurrence({u, u});
  const at::Tensor inputs = at::zeros({4, 1, 32}), h = at::zeros({2, 1, 8}), c = at::zeros({2, 1, 8});
  inputs[0].fill_(kMuch);
  inputs[1].fill_(-kMuch);
  inputs[3].fill_(kNan);
  const at::Tensor y = recurrence.run({inputs, inputs}, h, c);
  EXPECT_NEAR(y[0][0][0].item<float>(), std::tanh(1.0F), 1e-6F);
  EXPECT_NEAR(y[1][0][0].item<float>(), 0.0F, 1e-6F);
  EXPECT_TRUE(std::isnan(y[3][0][0].item<float>()));
  EXPECT_TRUE(std::isnan(y[0][0][8].item<float>()));  // the way back meets it first
}

using TwoNumbers = std::vector<std::int64_t>;

struct Case {
  TwoNumbers kernel, stride, padding, dilation;
  std::int64_t inputs, outputs;
};

TEST_F(Direct, ConvolvesWhateverTheLayoutAndThreads) {
  const int before = at::get_num_threads();
  for (const Case& c : {Case{{3, 3}, {1, 1}, {1, 1}, {1, 1}, 3, 16}, Case{{5, 3}, {2, 1}, {0, 2}, {1, 1}, 1, 6}, Case{{1, 1}, {2, 2}, {0, 0}, {1, 1}, 8, 33},
                        Case{{3, 2}, {1, 2}, {2, 1}, {2, 3}, 5, 12}}) {
    const at::Tensor weight = at::randn({c.outputs, c.inputs, c.kernel[0], c.kernel[1]}), bias = at::randn({c.outputs});
    const Layer layer(weight, bias);
    for (const int threads : {1, kMostThreads}) {
      at::set_num_threads(threads);
      const at::Tensor wide = at::randn({3, c.inputs, 40, 25});
      for (const at::Tensor& x : {wide, wide.contiguous(at::MemoryFormat::ChannelsLast), at::randn({3, 40, 25, 2 * c.inputs}).permute({0, 3, 2, 1}).slice(1, 0, c.inputs),
                                  wide.narrow(2, 3, 20), wide.narrow(0, 0, 1).expand({4, c.inputs, 40, 25})}) {
        const at::Tensor expected = at::conv2d(x, weight, bias, c.stride, c.padding, c.dilation);
        const at::Tensor other = at::randn(expected.sizes());
        EXPECT_TRUE(at::allclose(layer.convolution(x, {}, expected.sizes().vec(), c.stride, c.padding, c.dilation, kUnbounded), expected, 1e-4, 1e-4));
        const at::Tensor y = layer.convolution(x, other, expected.sizes().vec(), c.stride, c.padding, c.dilation, {.low = 0, .high = 6});
        EXPECT_TRUE(at::allclose(y, (expected + other).clamp(0, 6), 1e-4, 1e-4));
        EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast));
      }
    }
  }
  at::set_num_threads(before);
}

TEST_F(Direct, AffineAndPoolOverThreadsAreTheSame) {
  const int before = at::get_num_threads();
  at::set_num_threads(kMostThreads);
  const at::Tensor x = at::randn({4, 24, 60, 50}).contiguous(at::MemoryFormat::ChannelsLast), scale = at::rand({24}), shift = at::rand({24});
  const at::Tensor along = scale.view({1, 24, 1, 1});
  EXPECT_TRUE(at::allclose(affine(x, scale, shift, kUnbounded), x * along + shift.view({1, 24, 1, 1}), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(max_pool(x, {.size = {3, 2}, .stride = {2, 2}, .padding = {1, 0}, .dilation = {1, 1}}), at::max_pool2d(x, {3, 2}, {2, 2}, {1, 0}), 0, 0));
  at::set_num_threads(before);
}

TEST_F(Direct, LinearLayersBeyondOurBoundAreTheSame) {
  if (kernels().most_products > 1 << 30) GTEST_SKIP() << "there is no bound here";
  const std::int64_t rows = kernels().most_products / (512 * 512) + 3;
  const at::Tensor x = at::randn({rows, 512}), weight = at::randn({512, 512}) / 16, bias = at::randn({512}), other = at::randn({rows, 512});
  const at::Tensor expected = at::linear(x, weight, bias);
  const auto answer = [&](Epilogue epilogue, torch::jit::Stack stack) {
    packed_linear(weight, bias, std::move(epilogue))->run(stack);
    return stack[0].toTensor();
  };
  EXPECT_TRUE(at::allclose(answer({}, {x}), expected, 1e-4, 1e-4));
  EXPECT_TRUE(at::allclose(answer({.activation = "gelu", .algorithm = "none"}, {x}), at::gelu(expected), 1e-4, 1e-4));
  EXPECT_TRUE(at::allclose(answer({.activation = "gelu", .algorithm = "tanh"}, {x}), at::gelu(expected, "tanh"), 1e-4, 1e-4));
  EXPECT_TRUE(at::allclose(answer({.adds = true}, {x, other}), expected + other, 1e-4, 1e-4));
}

TEST_F(Direct, LinearTakesNoRowsAndManyAxes) {
  const at::Tensor weight = at::randn({10, 6});
  for (const at::Tensor& x : {at::randn({0, 6}), at::randn({6}), at::randn({2, 3, 4, 6}), at::randn({6, 5}).t()}) {
    torch::jit::Stack stack{x};
    packed_linear(weight, {}, {})->run(stack);
    EXPECT_TRUE(at::allclose(stack[0].toTensor(), at::linear(x, weight), 1e-5, 1e-5));
  }
}

}  // namespace
}  // namespace portfire::graph::direct
