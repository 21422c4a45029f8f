#include "engine/graph/kernels/norm.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/rms_norm.h>
#include <gtest/gtest.h>

#include <optional>

namespace portfire::graph {
namespace {

at::Tensor normed(const at::Tensor& weight, const at::Tensor& bias, bool is_rms, const at::Tensor& x) {
  torch::jit::Stack stack{x};
  norm(weight, bias, x.size(-1), 1e-5, is_rms)->run(stack);
  return stack.at(0).toTensor();
}

TEST(Norm, IsLibTorchsWhateverTheSizeAndLayout) {
  at::manual_seed(20);
  for (const std::int64_t size : {1, 3, 16, 19, 64, 768}) {
    const at::Tensor weight = at::randn({size}), bias = at::randn({size});
    for (const at::Tensor& x : {at::randn({size}), at::randn({0, size}), at::randn({2, 5, size}) + 30, at::randn({size, 6}).t(), at::randn({4, size}).to(at::kDouble), at::full({2, size}, 1e-20F)}) {
      if (x.scalar_type() != at::kFloat) {
        EXPECT_TRUE(at::equal(normed({}, {}, false, x), at::layer_norm(x, {size}, {}, {}, 1e-5)));
        continue;
      }
      const double close = size == 1 ? 1e-3 : 1e-4;
      EXPECT_TRUE(at::allclose(normed(weight, bias, false, x), at::layer_norm(x, {size}, weight, bias, 1e-5), close, close)) << x.sizes();
      EXPECT_TRUE(at::allclose(normed({}, {}, false, x), at::layer_norm(x, {size}, {}, {}, 1e-5), close, close)) << x.sizes();
      EXPECT_TRUE(at::allclose(normed(weight, {}, true, x), at::rms_norm(x, {size}, weight, 1e-5), 1e-5, 1e-6)) << x.sizes();
      EXPECT_TRUE(at::allclose(normed({}, {}, true, x), at::rms_norm(x, {size}, std::nullopt, 1e-5), 1e-5, 1e-6)) << x.sizes();
    }
  }
}

TEST(Norm, ARowIsTheSameAmongOthers) {
  const at::Tensor weight = at::randn({203}), x = at::randn({9, 203});
  for (const bool is_rms : {false, true}) EXPECT_TRUE(at::equal(normed(weight, {}, is_rms, x)[4], normed(weight, {}, is_rms, x[4])));
}

}  // namespace
}  // namespace portfire::graph
