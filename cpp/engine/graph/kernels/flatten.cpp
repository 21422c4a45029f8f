#include "engine/graph/kernels/flatten.h"

#include <ATen/ops/flatten.h>

#include "engine/graph/kernels/direct/layer.h"
#include "engine/graph/kernels/direct/rows.h"

namespace portfire::graph {
namespace {

class Flatten final : public Kernel {
 public:
  void run(torch::jit::Stack& stack) const override {
    const at::Tensor x = direct::resolved(stack[0].toTensor());
    stack[0] = takes(x) ? copied(x) : at::flatten(x, 1, -1);
  }

 private:
  /// LibTorch's own copy is as fast for many values, and runs on threads.
  static bool takes(const at::Tensor& x) {
    constexpr std::int64_t kMost = 1 << 15;
    return x.scalar_type() == at::kFloat && x.is_cpu() && x.dim() == 4 && x.numel() > 0 && x.numel() <= kMost && !x.is_contiguous() &&
           x.is_contiguous(at::MemoryFormat::ChannelsLast);
  }

  static at::Tensor copied(const at::Tensor& x) {
    const std::int64_t channels = x.size(1), pixels = x.size(2) * x.size(3);
    at::Tensor y = direct::make_empty({x.size(0), channels * pixels});
    const float* from = x.const_data_ptr<float>();
    float* to = y.mutable_data_ptr<float>();
    for (std::int64_t n = 0; n < x.size(0); ++n, from += channels * pixels) {
      for (std::int64_t c = 0; c < channels; ++c) {
        for (std::int64_t k = 0; k < pixels; ++k) *to++ = from[k * channels + c];
      }
    }
    return y;
  }
};

}  // namespace

std::shared_ptr<const Kernel> flatten() { return std::make_shared<Flatten>(); }

}  // namespace portfire::graph
