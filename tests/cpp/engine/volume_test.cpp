#include "engine/graph/kernels/direct/volume.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/max_pool3d.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "variants.h"

namespace portfire::graph::direct {
namespace {

using Three = std::vector<std::int64_t>;

struct Case {
  Three kernel, stride, padding, dilation;
};

TEST(Volume, ConvolvesAsLibTorchDoes) {
  at::manual_seed(23);
  const int before = at::get_num_threads();
  const std::vector<Case> cases{{{3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}}, {{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}},
                                {{2, 3, 4}, {2, 1, 3}, {0, 2, 1}, {1, 1, 1}}, {{3, 2, 2}, {1, 2, 1}, {2, 0, 3}, {2, 1, 3}}};
  for (const int threads : {1, kMostThreads}) {
    at::set_num_threads(threads);
    for (const Case& c : cases) {
      for (const std::int64_t outputs : {5, 16}) {
        SCOPED_TRACE(std::to_string(c.kernel[0]) + ", " + std::to_string(outputs) + " outputs");
        const at::Tensor weight = at::randn({outputs, 6, c.kernel[0], c.kernel[1], c.kernel[2]}), bias = at::randn({outputs});
        const VolumeLayer layer(weight, bias), bare(weight, {});
        const at::Tensor x = at::randn({2, 6, 7, 9, 8});
        const at::Tensor wanted = at::conv3d(x, weight, bias, c.stride, c.padding, c.dilation);
        const Three sizes = wanted.sizes().vec();
        const at::Tensor y = layer.convolution(x, {}, sizes, c.stride, c.padding, c.dilation, kUnbounded);
        EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast3d));
        EXPECT_TRUE(at::allclose(y, wanted, 1e-4, 1e-5));
        const at::Tensor last = x.contiguous(at::MemoryFormat::ChannelsLast3d), other = at::randn(sizes);
        EXPECT_TRUE(at::allclose(layer.convolution(last, other, sizes, c.stride, c.padding, c.dilation, {0, 6}), (wanted + other).clamp(0, 6), 1e-4, 1e-5));
        EXPECT_TRUE(at::allclose(bare.convolution(last, {}, sizes, c.stride, c.padding, c.dilation, kUnbounded),
                                 at::conv3d(x, weight, {}, c.stride, c.padding, c.dilation), 1e-4, 1e-5));
      }
    }
  }
  at::set_num_threads(before);
}

TEST(Volume, PoolsAsLibTorchDoes) {
  const int before = at::get_num_threads();
  const std::vector<Window> windows{{{2, 2, 2}, {2, 2, 2}, {0, 0, 0}, {1, 1, 1}}, {{3, 2, 1}, {1, 2, 3}, {1, 1, 0}, {1, 1, 1}},
                                    {{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}}, {{5, 4, 3}, {2, 1, 2}, {2, 2, 1}, {1, 1, 1}}};
  for (const int threads : {1, kMostThreads}) {
    at::set_num_threads(threads);
    for (const Window& window : windows) {
      for (const std::int64_t channels : {1, 8, 19}) {
        SCOPED_TRACE(std::to_string(window.size[0]) + ", " + std::to_string(channels) + " channels");
        const at::Tensor x = at::randn({2, channels, 7, 9, 8}).contiguous(at::MemoryFormat::ChannelsLast3d);
        x[1][0][3][3][3] = std::numeric_limits<float>::quiet_NaN();
        const at::Tensor y = max_pool(x, window);
        EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast3d));
        EXPECT_TRUE(at::allclose(y, at::max_pool3d(x, window.size, window.stride, window.padding), 0, 0, true));
      }
    }
  }
  at::set_num_threads(before);
}

}  // namespace
}  // namespace portfire::graph::direct
