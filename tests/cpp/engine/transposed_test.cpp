#include "engine/graph/kernels/direct/transposed.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/conv_transpose2d.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "variants.h"

namespace portfire::graph::direct {
namespace {

using Two = std::vector<std::int64_t>;

struct Case {
  Two kernel, stride, padding, extra;  ///< extra: output_padding
};

TEST(Transposed, ConvolvesAsLibTorchDoes) {
  at::manual_seed(22);
  const int before = at::get_num_threads();
  const std::vector<Case> cases{{{4, 4}, {2, 2}, {1, 1}, {0, 0}}, {{2, 2}, {2, 2}, {0, 0}, {0, 0}}, {{3, 3}, {2, 2}, {1, 1}, {1, 1}},
                                {{5, 3}, {3, 2}, {0, 2}, {2, 0}}, {{7, 4}, {2, 4}, {5, 3}, {1, 0}}, {{8, 2}, {2, 2}, {6, 1}, {0, 1}}};
  for (const int threads : {1, kMostThreads}) {
    at::set_num_threads(threads);
    for (const Case& c : cases) {
      for (const std::int64_t outputs : {3, 24}) {
        const at::Tensor weight = at::randn({11, outputs, c.kernel[0], c.kernel[1]}), bias = at::randn({outputs});
        EXPECT_EQ(TransposedLayer::takes(weight, c.stride), kernels().convolves);
        const TransposedLayer layer(weight, bias, c.stride, c.padding), bare(weight, {}, c.stride, c.padding);
        for (const Two& size : std::vector<Two>{{4, 4}, {5, 8}, {13, 6}}) {
          SCOPED_TRACE(std::to_string(c.kernel[0]) + " x " + std::to_string(c.kernel[1]) + " over " + std::to_string(size[0]) + " x " + std::to_string(size[1]));
          const at::Tensor x = at::randn({3, 11, size[0], size[1]});
          const at::Tensor wanted = at::conv_transpose2d(x, weight, bias, c.stride, c.padding, c.extra);
          const at::Tensor y = layer.convolution(x, wanted.sizes().vec(), kUnbounded);
          EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast));
          EXPECT_TRUE(at::allclose(y, wanted, 1e-4, 1e-5));
          const at::Tensor last = x.contiguous(at::MemoryFormat::ChannelsLast);
          EXPECT_TRUE(at::allclose(layer.convolution(last, wanted.sizes().vec(), {0, 2}), wanted.clamp(0, 2), 1e-4, 1e-5));
          EXPECT_TRUE(at::allclose(bare.convolution(x, wanted.sizes().vec(), kUnbounded),
                                   at::conv_transpose2d(x, weight, {}, c.stride, c.padding, c.extra), 1e-4, 1e-5));
        }
      }
    }
  }
  at::set_num_threads(before);
}

TEST(Transposed, LeavesToOthersWhatHasNoPhases) {
  const at::Tensor weight = at::randn({4, 4, 3, 3});
  EXPECT_FALSE(TransposedLayer::takes(weight, {1, 1}));  // one phase, mostly of padding
  EXPECT_FALSE(TransposedLayer::takes(weight, {4, 2}));  // values that no tap reaches
  EXPECT_FALSE(TransposedLayer::takes(at::randn({4, 4, 9, 2}), {2, 2}));
}

}  // namespace
}  // namespace portfire::graph::direct
