#include "engine/graph/kernels/scale_and_shift.h"

#include <ATen/ops/batch_norm.h>

#include <utility>

namespace portfire::graph {
namespace {

class ScaleAndShift final : public Kernel {
 public:
  ScaleAndShift(BatchNorm norm, at::Tensor scale, at::Tensor shift, Epilogue epilogue)
      : norm_(std::move(norm)), scale_(std::move(scale)), shift_(std::move(shift)), epilogue_(std::move(epilogue)) {
    TORCH_CHECK(scale_.dim() == 1 && scale_.sizes() == shift_.sizes(), "a batch norm of ", scale_.sizes(), " and ", shift_.sizes());
  }

  void run(torch::jit::Stack& stack) const override {
    const at::Tensor x = direct::resolved(stack[0].toTensor());
    const bool taken = x.scalar_type() == at::kFloat && x.dim() == 4 && x.numel() > 0 && x.size(1) == scale_.size(0) && x.is_contiguous(at::MemoryFormat::ChannelsLast);
    if (!taken) {
      stack[0] = apply(epilogue_, at::batch_norm(x, norm_.gamma, norm_.beta, norm_.mean, norm_.variance, false, 0, norm_.epsilon, false), {});
      return;
    }
    const std::optional<direct::Bounds> bounds = bounds_of(epilogue_);
    at::Tensor y = direct::affine(x, scale_, shift_, bounds.value_or(direct::kUnbounded));
    stack[0] = bounds ? y : apply(epilogue_, std::move(y), {});
  }

 private:
  BatchNorm norm_;
  at::Tensor scale_, shift_;
  Epilogue epilogue_;
};

}  // namespace

std::shared_ptr<const Kernel> scale_and_shift(BatchNorm norm, at::Tensor scale, at::Tensor shift, Epilogue epilogue) {
  return std::make_shared<ScaleAndShift>(std::move(norm), std::move(scale), std::move(shift), std::move(epilogue));
}

}  // namespace portfire::graph
