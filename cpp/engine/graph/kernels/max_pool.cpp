#include "engine/graph/kernels/max_pool.h"

#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/max_pool3d.h>

#include <algorithm>
#include <utility>

namespace portfire::graph {
namespace {

class MaxPool final : public Kernel {
 public:
  explicit MaxPool(direct::Window window) : window_(std::move(window)) {}

  void run(torch::jit::Stack& stack) const override {
    const at::Tensor x = direct::resolved(stack[0].toTensor());
    const direct::Window& w = window_;
    stack[0] = takes(x)              ? direct::max_pool(x, w)
               : w.size.size() == 3 ? at::max_pool3d(x, w.size, w.stride, w.padding, w.dilation)
                                    : at::max_pool2d(x, w.size, w.stride, w.padding, w.dilation);
  }

 private:
  bool takes(const at::Tensor& x) const {
    const auto format = window_.size.size() == 3 ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::ChannelsLast;
    const bool lies_so = static_cast<std::size_t>(x.dim()) == window_.size.size() + 2 && x.is_contiguous(format);
    if (x.scalar_type() != at::kFloat || x.numel() == 0 || !lies_so) return false;
    constexpr std::int64_t kMost = 1 << 15;
    const auto fits = [&](std::size_t k) {
      const std::int64_t size = window_.size[k], stride = window_.stride[k], padding = window_.padding[k];
      return window_.dilation[k] == 1 && size > 0 && size <= kMost && stride > 0 && stride <= kMost && padding >= 0 && padding <= size / 2 &&
             x.size(static_cast<std::int64_t>(k) + 2) + 2 * padding >= size;
    };
    for (std::size_t k = 0; k < window_.size.size(); ++k) {
      if (!fits(k)) return false;
    }
    return true;
  }

  direct::Window window_;
};

}  // namespace

std::shared_ptr<const Kernel> max_pool(direct::Window window) { return std::make_shared<MaxPool>(std::move(window)); }

}  // namespace portfire::graph
