#include "engine/graph/kernels/max_pool.h"

#include <ATen/ops/max_pool2d.h>

#include <algorithm>
#include <utility>

namespace portfire::graph {
namespace {

class MaxPool final : public Kernel {
 public:
  explicit MaxPool(direct::Window window) : window_(std::move(window)) {}

  void run(torch::jit::Stack& stack) const override {
    const at::Tensor x = direct::resolved(stack[0].toTensor());
    stack[0] = takes(x) ? direct::max_pool(x, window_) : at::max_pool2d(x, window_.size, window_.stride, window_.padding, window_.dilation);
  }

 private:
  bool takes(const at::Tensor& x) const {
    if (x.scalar_type() != at::kFloat || x.dim() != 4 || x.numel() == 0 || !x.is_contiguous(at::MemoryFormat::ChannelsLast)) return false;
    constexpr std::int64_t kMost = 1 << 15;
    const auto fits = [&](std::size_t k) {
      const std::int64_t size = window_.size[k], stride = window_.stride[k], padding = window_.padding[k];
      return window_.dilation[k] == 1 && size > 0 && size <= kMost && stride > 0 && stride <= kMost && padding >= 0 && padding <= size / 2 &&
             x.size(static_cast<std::int64_t>(k) + 2) + 2 * padding >= size;
    };
    return fits(0) && fits(1);
  }

  direct::Window window_;
};

}  // namespace

std::shared_ptr<const Kernel> max_pool(direct::Window window) { return std::make_shared<MaxPool>(std::move(window)); }

}  // namespace portfire::graph
