#include "engine/graph/kernels/scale_and_shift.h"

#include <ATen/ops/addcmul.h>

#include <utility>

namespace portfire::graph {
namespace {

class ScaleAndShift final : public Kernel {
 public:
  ScaleAndShift(at::Tensor scale, at::Tensor shift, Epilogue epilogue) : scale_(std::move(scale)), shift_(std::move(shift)), epilogue_(std::move(epilogue)) {}

  void run(torch::jit::Stack& stack) const override {
    const at::Tensor x = stack[0].toTensor();
    TORCH_CHECK(x.dim() == 4 && x.size(1) == scale_.size(0), "a batch norm of ", scale_.size(0), " channels was given ", x.sizes());
    const std::optional<direct::Bounds> bounds = bounds_of(epilogue_);
    if (x.scalar_type() == at::kFloat && x.numel() > 0 && x.is_contiguous(at::MemoryFormat::ChannelsLast)) {
      at::Tensor y = direct::affine(x, scale_, shift_, bounds.value_or(direct::kUnbounded));
      stack[0] = bounds ? y : apply(epilogue_, std::move(y), {});
    } else {
      const auto along = [&](const at::Tensor& t) { return t.to(x.scalar_type()).view({1, -1, 1, 1}); };
      stack[0] = apply(epilogue_, at::addcmul(along(shift_), x, along(scale_)), {});
    }
  }

 private:
  at::Tensor scale_, shift_;
  Epilogue epilogue_;
};

}  // namespace

std::shared_ptr<const Kernel> scale_and_shift(at::Tensor scale, at::Tensor shift, Epilogue epilogue) {
  return std::make_shared<ScaleAndShift>(std::move(scale), std::move(shift), std::move(epilogue));
}

}  // namespace portfire::graph
