#include "engine/graph/kernels/packed_linear.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/linear.h>

#include <optional>
#include <utility>
#include <vector>

#include "engine/graph/kernels/direct/layer.h"
#include "engine/graph/kernels/packed.h"

namespace portfire::graph {
namespace {

using Scalars = torch::List<std::optional<at::Scalar>>;
using Text = std::optional<std::string_view>;
using OptionalTensor = std::optional<at::Tensor>;

constexpr std::int64_t kLeastProducts = 1 << 19;  // multiplications; below, a call to oneDNN costs more than it saves

class PackedLinear final : public Kernel {
 public:
  PackedLinear(at::Tensor weight, const at::Tensor& bias, Epilogue epilogue)
      : weight_(std::move(weight)), epilogue_(std::move(epilogue)),
        packed_([this](at::IntArrayRef rows) { return pack(rows[0]); }) {
    if (bias.defined()) bias_ = bias;
    if (weight_.scalar_type() == at::kFloat) direct_.emplace(weight_, bias);
    most_ = static_cast<double>(direct_ ? direct::kernels().most_products : kLeastProducts);
    // oneDNN's error function costs nearly as much as the layer.
    activates_after_ = direct_ && epilogue_.activation == "gelu" && epilogue_.algorithm != "tanh";
  }

  void run(torch::jit::Stack& stack) const override {
    const at::Tensor x = direct::resolved(stack[0].toTensor());
    TORCH_CHECK(x.dim() > 0 && x.size(-1) == weight_.size(1) && x.scalar_type() == weight_.scalar_type(), "mat1 and mat2 shapes cannot be multiplied (", x.scalar_type(), " ", x.sizes(), " and ",
                weight_.scalar_type(), " ", weight_.sizes(), ")");
    const std::int64_t rows = x.numel() / weight_.size(1);
    const at::Tensor other = epilogue_.adds ? direct::resolved(stack[1].toTensor()) : at::Tensor();
    check(x, other);
    at::Tensor y = static_cast<double>(rows) * static_cast<double>(weight_.numel()) < most_ ? small(x, other) : large(x, other, rows);
    stack.clear();
    stack.emplace_back(std::move(y));
  }

 private:
  at::Tensor small(const at::Tensor& x, const at::Tensor& other) const {
    if (!direct_) return apply(epilogue_, at::linear(x, weight_, bias_), other);
    const std::optional<direct::Bounds> bounds = bounds_of(epilogue_);
    at::Tensor y = direct_->linear(x, other, bounds.value_or(direct::kUnbounded));
    return bounds ? y : apply(epilogue_, std::move(y), {});
  }

  void check(const at::Tensor& x, const at::Tensor& other) const {
    if (!other.defined()) return;
    std::vector<std::int64_t> sizes = x.sizes().vec();
    sizes.back() = weight_.size(0);
    TORCH_CHECK(other.sizes() == at::IntArrayRef(sizes) && other.scalar_type() == x.scalar_type(), "what is added to a linear layer of ",
                x.sizes(), " is ", other.scalar_type(), " ", other.sizes());
  }

  at::Tensor pack(std::int64_t rows) const {
    static const auto reorder = c10::Dispatcher::singleton()
                                    .findSchemaOrThrow("mkldnn::_reorder_linear_weight", "")
                                    .typed<at::Tensor(const at::Tensor&, std::optional<std::int64_t>)>();
    return reorder.call(weight_.contiguous(), rows);
  }

  at::Tensor large(const at::Tensor& x, const at::Tensor& other, std::int64_t rows) const {
    const at::Tensor weight = packed_.for_input(rows);
    if (epilogue_.adds) return with_add(x, other, weight);
    return activates_after_ ? apply(epilogue_, plain(x, weight, {}), {}) : plain(x, weight, epilogue_);
  }

  at::Tensor plain(const at::Tensor& x, const at::Tensor& weight, const Epilogue& epilogue) const {
    static const auto op =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
            .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const OptionalTensor&, std::string_view, Scalars, Text)>();
    return op.call(x, weight, bias_, epilogue.activation, epilogue.scalars, epilogue.algorithm_view());
  }

  at::Tensor with_add(const at::Tensor& x, const at::Tensor& other, const at::Tensor& weight) const {
    static const auto op =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("mkldnn::_linear_pointwise", "binary")
            .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, const OptionalTensor&, std::string_view)>();
    return op.call(x, other.contiguous(), weight, bias_, "add");
  }

  at::Tensor weight_;
  Epilogue epilogue_;
  OptionalTensor bias_;
  PackedWeights packed_;
  std::optional<direct::Layer> direct_;
  double most_ = 0;  // multiplications that are not for oneDNN
  bool activates_after_ = false;
};

}  // namespace

std::shared_ptr<const Kernel> packed_linear(at::Tensor weight, at::Tensor bias, Epilogue epilogue) {
  return std::make_shared<PackedLinear>(std::move(weight), bias, std::move(epilogue));
}

}  // namespace portfire::graph
