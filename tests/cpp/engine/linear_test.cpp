#include "engine/graph/kernels/direct/linear.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/kernels/direct/rows.h"
#include "engine/graph/kernels/packed_linear.h"
#include "variants.h"

namespace portfire::graph::direct {
namespace {

constexpr Kept kAll[] = {Kept::kFloat32, Kept::kBFloat16, Kept::kInt8};

class DirectLinear : public testing::Test {
 protected:
  DirectLinear() { at::manual_seed(20); }
};

/// A weight of numbers that fewer bits hold exactly, and how a kernel of `width` takes it.
struct Packed {
  Packed(Kept kept, std::int64_t outputs, std::int64_t inputs, std::int64_t width) {
    values = at::randint(-127, 128, {outputs, inputs}).to(at::kFloat);
    const std::int64_t each = values_of_word(kept), count = (inputs + each - 1) / each, panels = (outputs + width - 1) / width;
    words.resize(static_cast<std::size_t>(panels * count * width));
    scale = at::full({panels * width}, kept == Kept::kInt8 ? 1.0F / (1 << 24) : 1.0F);
    bias = at::zeros({panels * width});
    bias.narrow(0, 0, outputs).normal_();
    for (std::int64_t o = 0; o < outputs; ++o) {
      for (std::int64_t i = 0; i < inputs; ++i) {
        const float value = values[o][i].item<float>();
        std::int32_t bits = static_cast<std::int32_t>(value) & 0xff;
        if (kept != Kept::kInt8) std::memcpy(&bits, &value, sizeof bits);
        if (kept == Kept::kBFloat16) bits = static_cast<std::int32_t>(static_cast<std::uint32_t>(bits) >> 16);
        words[static_cast<std::size_t>((o / width * count + i / each) * width + o % width)] |= bits << (i % each * 32 / each);
      }
    }
  }

  at::Tensor values, scale, bias;
  std::vector<std::int32_t> words;
};

TEST_F(DirectLinear, MultipliesWhateverIsKeptAndHowManyThereAre) {
  for (const auto& [name, kernels] : variants()) {
    for (const Kept kept : kAll) {
      for (const std::int64_t inputs : {1, 2, 3, 4, 5, 19, 64}) {
        for (const std::int64_t outputs : {1, 3, 8, 16, 17, 33, 70, 260}) {
          const Packed weight(kept, outputs, inputs, kernels->width);
          const std::int64_t panels = weight.bias.size(0) / kernels->width;
          for (const std::int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 21}) {
            SCOPED_TRACE(name + " " + std::to_string(static_cast<int>(kept)) + ": " + std::to_string(rows) + " x " + std::to_string(inputs) + " x " + std::to_string(outputs));
            const at::Tensor x = at::randn({rows, inputs}), other = at::randn({rows, outputs}), y = at::zeros({rows + 1, outputs});
            std::vector<float> room(static_cast<std::size_t>(kMostWidened * inputs * kernels->width));
            const Linear task{.kept = kept, .x = x.const_data_ptr<float>(), .weight = weight.words.data(), .scale = weight.scale.const_data_ptr<float>(),
                              .bias = weight.bias.const_data_ptr<float>(), .other = other.const_data_ptr<float>(), .low = -100, .high = 300,
                              .y = y.mutable_data_ptr<float>(), .inputs = inputs, .outputs = outputs};
            kernels->linear(task, 0, rows, 0, panels / 2, room.data());  // as two threads would
            kernels->linear(task, 0, rows, panels / 2, panels, room.data());
            const at::Tensor expected = (at::linear(x, weight.values, weight.bias.narrow(0, 0, outputs)) + other).clamp(-100, 300);
            ASSERT_TRUE(at::allclose(y.narrow(0, 0, rows), expected, 1e-5, 1e-3));
            ASSERT_EQ(y[rows].abs().sum().item<float>(), 0);
          }
        }
      }
    }
  }
}

TEST_F(DirectLinear, ARowIsTheSameAmongOthers) {
  constexpr std::int64_t kInputs = 203, kOutputs = 157, kRows = 23;
  for (const auto& [name, kernels] : variants()) {
    for (const Kept kept : kAll) {
      const Packed weight(kept, kOutputs, kInputs, kernels->width);
      const at::Tensor x = at::randn({kRows, kInputs}), y = at::zeros({kRows, kOutputs}), z = at::zeros({kRows, kOutputs});
      std::vector<float> room(static_cast<std::size_t>(kMostWidened * kInputs * kernels->width));
      Linear task{.kept = kept, .x = x.const_data_ptr<float>(), .weight = weight.words.data(), .scale = weight.scale.const_data_ptr<float>(),
                  .bias = weight.bias.const_data_ptr<float>(), .low = -kUnbounded.high, .high = kUnbounded.high, .y = y.mutable_data_ptr<float>(),
                  .inputs = kInputs, .outputs = kOutputs};
      const std::int64_t panels = weight.bias.size(0) / kernels->width;
      kernels->linear(task, 0, kRows, 0, panels, room.data());
      task.y = z.mutable_data_ptr<float>();
      for (std::int64_t together = 1; together < kRows; ++together) {
        SCOPED_TRACE(name + " " + std::to_string(static_cast<int>(kept)) + " " + std::to_string(together));
        for (std::int64_t row = 0; row < kRows; row += together) kernels->linear(task, row, std::min(row + together, kRows), 0, panels, room.data());
        ASSERT_TRUE(at::equal(y, z));
      }
    }
  }
}

at::Tensor through(const std::shared_ptr<const Kernel>& kernel, torch::jit::Stack stack) {
  kernel->run(stack);
  return stack.at(0).toTensor();
}

TEST_F(DirectLinear, EightBitsAreNearestToTheWeight) {
  const at::Tensor weight = at::randn({70, 301}), bias = at::randn({70});
  weight[3].zero_();
  weight[4].fill_(-2);
  LinearWeight narrow = packed_linear_weight(weight, Kept::kInt8);
  narrow.sums = at::Tensor();  // rows of float32 meet it, as without instructions for bytes
  const at::Tensor rows = embedding(narrow, at::arange(70));
  const at::Tensor step = weight.abs().amax(1, true) / 127;
  EXPECT_TRUE(((rows - weight).abs() <= 0.501 * step).all().item<bool>());
  EXPECT_EQ(rows[3].abs().sum().item<float>(), 0);
  EXPECT_TRUE(at::allclose(rows[4], weight[4], 1e-6, 0));
  EXPECT_TRUE(at::equal(linear(at::eye(301), narrow, packed_bias({}, 70), {}, kUnbounded), rows.t().contiguous()));
  const int before = at::get_num_threads();
  for (const int threads : {1, kMostThreads}) {
    at::set_num_threads(threads);
    for (const at::Tensor& x : {at::randn({0, 301}), at::randn({301}), at::randn({2, 3, 301}), at::randn({301, 290}).t()}) {
      const at::Tensor expected = at::linear(x, rows, bias), other = at::randn(expected.sizes());
      const auto answer = [&](Epilogue epilogue, torch::jit::Stack stack) { return through(packed_linear(narrow, bias, std::move(epilogue)), std::move(stack)); };
      EXPECT_TRUE(at::allclose(answer({}, {x}), expected, 1e-4, 1e-4));
      EXPECT_TRUE(at::allclose(answer({.activation = "relu", .adds = true}, {x, other}), at::relu(expected + other), 1e-4, 1e-4));
      EXPECT_TRUE(at::allclose(answer({.activation = "gelu", .algorithm = "tanh"}, {x}), at::gelu(expected, "tanh"), 1e-4, 1e-4));
    }
  }
  at::set_num_threads(before);
}

TEST_F(DirectLinear, HalfOfTheBitsAreBFloat16) {
  const at::Tensor weight = at::randn({33, 45}), x = at::randn({5, 45});
  const at::Tensor rounded = weight.to(at::kBFloat16).to(at::kFloat);
  const LinearWeight narrow = packed_linear_weight(weight, Kept::kBFloat16);
  EXPECT_TRUE(at::allclose(through(packed_linear(narrow, {}, {}), {x}), at::linear(x, rounded), 1e-5, 1e-5));
  const at::Tensor ids = at::randint(0, 33, {2, 7});
  EXPECT_TRUE(at::equal(through(packed_embedding(narrow), {ids}), rounded.index({ids})));
  EXPECT_TRUE(at::equal(through(packed_embedding(narrow), {ids.to(at::kInt)}), rounded.index({ids})));
}

TEST_F(DirectLinear, RefusesWhatLibTorchRefuses) {
  const LinearWeight narrow = packed_linear_weight(at::randn({33, 45}), Kept::kInt8);
  for (const std::int64_t id : {-1, 33}) EXPECT_THROW((void)through(packed_embedding(narrow), {at::full({1}, id, at::kLong)}), c10::Error);
  EXPECT_THROW((void)through(packed_embedding(narrow), {at::randn({3})}), c10::Error);
  EXPECT_THROW((void)through(packed_linear(narrow, {}, {}), {at::randn({3, 44})}), c10::Error);
  EXPECT_THROW((void)through(packed_linear(narrow, {}, {}), {at::randn({3, 45}).to(at::kBFloat16)}), c10::Error);
  EXPECT_THROW((void)through(packed_linear(narrow, {}, {.adds = true}), {at::randn({3, 45}), at::randn({3, 32})}), c10::Error);
}

}  // namespace
}  // namespace portfire::graph::direct
