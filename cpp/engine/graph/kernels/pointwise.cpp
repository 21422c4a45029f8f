#include "engine/graph/kernels/pointwise.h"

#include <ATen/ExpandUtils.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "engine/graph/kernels/direct/layer.h"
#include "engine/graph/kernels/direct/rows.h"
#include "engine/graph/run.h"

namespace portfire::graph {
namespace {

/// How the values of `sizes`, in one piece, are those of `whole`, to which they can be broadcast; nothing where they
/// repeat in more ways than one.
std::optional<direct::PointwiseInput> repeated(at::IntArrayRef sizes, at::IntArrayRef whole) {
  std::size_t left = whole.size();
  const auto same = [&](std::size_t axis) {  // counted in `whole`
    const std::size_t missing = whole.size() - sizes.size();
    return axis >= missing && sizes[axis - missing] == whole[axis];
  };
  direct::PointwiseInput found{.values = nullptr, .length = 1, .every = 1};
  for (; left > 0 && same(left - 1); --left) found.length *= whole[left - 1];
  found.every = found.length;
  for (; left > 0 && (!same(left - 1) || whole[left - 1] == 1); --left) found.every *= whole[left - 1];
  for (; left > 0; --left) {
    if (!same(left - 1)) return std::nullopt;
  }
  return found;
}

class PointwiseKernel final : public Kernel {
 public:
  PointwiseKernel(std::vector<direct::PointwiseStep> chain, Block steps) : chain_(std::move(chain)), steps_(std::move(steps)) {}

  void run(torch::jit::Stack& stack) const override {
    std::vector<c10::IValue> result;
    const std::vector<at::Tensor> tensors = tensors_of(stack);
    if (at::Tensor y = tensors.size() == stack.size() ? computed(tensors) : at::Tensor(); y.defined()) {
      result.emplace_back(std::move(y));
    } else {
      stack.resize(steps_.inputs.size());
      result = run_block(steps_, std::move(stack));
    }
    stack = std::move(result);
  }

 private:
  /// Until one that is none of ours. A number does not decide the dtype.
  static std::vector<at::Tensor> tensors_of(const torch::jit::Stack& stack) {
    std::vector<at::Tensor> tensors;
    for (const c10::IValue& value : stack) {
      const bool is_number = value.isInt() || value.isDouble() || value.isBool();
      const at::Tensor tensor = is_number ? at::scalar_tensor(value.toScalar(), at::kFloat) : value.isTensor() ? value.toTensor() : at::Tensor();
      if (!tensor.defined() || !tensor.is_cpu() || tensor.scalar_type() != at::kFloat || tensor.layout() != at::kStrided) break;
      tensors.push_back(direct::resolved(tensor));
    }
    return tensors;
  }

  /// Undefined where there is nothing to compute.
  at::Tensor computed(std::vector<at::Tensor> tensors) const {
    std::vector<std::int64_t> sizes;
    for (const at::Tensor& tensor : tensors) sizes = at::infer_size(sizes, tensor.sizes());
    const std::optional<at::Tensor> like = common_layout(tensors, sizes);
    at::Tensor y = like ? at::empty_like(*like) : direct::make_empty(sizes);
    const std::int64_t count = y.numel();
    if (count == 0) return {};
    std::vector<direct::PointwiseInput> inputs;
    for (at::Tensor& tensor : tensors) inputs.push_back(input_of(tensor, sizes, like.has_value()));
    const direct::PointwiseChain chain{.inputs = inputs.data(), .input_count = static_cast<std::int64_t>(inputs.size()), .steps = chain_.data(),
                                       .step_count = static_cast<std::int64_t>(chain_.size()), .y = y.mutable_data_ptr<float>()};
    constexpr std::int64_t kOperationsOfAThread = 1 << 17;
    const std::int64_t grain = std::max<std::int64_t>(kOperationsOfAThread / chain.step_count, direct::kPointwiseBlock);
    at::parallel_for(0, count, grain, [&](std::int64_t first, std::int64_t last) {
      const auto registers = std::make_unique_for_overwrite<float[]>((inputs.size() + chain_.size()) * direct::kPointwiseBlock);
      direct::kernels().pointwise(chain, first, last, registers.get());
    });
    return y;
  }

  /// A tensor of the result's layout, if all are single numbers or have it, and it is not the ordinary one.
  static std::optional<at::Tensor> common_layout(const std::vector<at::Tensor>& tensors, at::IntArrayRef sizes) {
    std::optional<at::Tensor> like;
    for (const at::Tensor& tensor : tensors) {
      if (tensor.numel() == 1) continue;
      const bool fits = tensor.sizes() == sizes && tensor.is_non_overlapping_and_dense() && (!like || like->strides() == tensor.strides());
      if (!fits) return std::nullopt;
      like = tensor;
    }
    return like && !like->is_contiguous() ? like : std::nullopt;
  }

  /// `tensor` becomes what the values are in.
  static direct::PointwiseInput input_of(at::Tensor& tensor, at::IntArrayRef sizes, bool as_they_lie) {
    if (tensor.sizes() == sizes) {
      if (!as_they_lie) tensor = tensor.contiguous();
      return {.values = tensor.const_data_ptr<float>()};
    }
    std::optional<direct::PointwiseInput> found =
        as_they_lie ? direct::PointwiseInput{.values = nullptr, .length = 1, .every = c10::multiply_integers(sizes)} : repeated(tensor.sizes(), sizes);
    if (!found) {
      tensor = tensor.expand(sizes);
      found.emplace();
    }
    tensor = tensor.contiguous();
    found->values = tensor.const_data_ptr<float>();
    return *found;
  }

  std::vector<direct::PointwiseStep> chain_;
  Block steps_;
};

}  // namespace

std::shared_ptr<const Kernel> pointwise(std::vector<direct::PointwiseStep> chain, Block steps) {
  return std::make_shared<PointwiseKernel>(std::move(chain), std::move(steps));
}

}  // namespace portfire::graph
