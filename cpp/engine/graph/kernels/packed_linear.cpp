#include "engine/graph/kernels/packed_linear.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/linear.h>

#include <utility>
#include <vector>

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
  }

  void run(torch::jit::Stack& stack) const override {
    const at::Tensor& x = stack[0].toTensor();
    TORCH_CHECK(x.dim() > 0 && x.size(-1) == weight_.size(1) && x.scalar_type() == weight_.scalar_type(), "mat1 and mat2 shapes cannot be multiplied (", x.sizes(), " and ",
                weight_.sizes(), ")");
    const std::int64_t rows = x.numel() / weight_.size(1);
    const at::Tensor other = epilogue_.adds ? stack[1].toTensor() : at::Tensor();
    at::Tensor y = rows * weight_.numel() < kLeastProducts ? apply(epilogue_, at::linear(x, weight_, bias_), other) : large(x, other, rows);
    stack.clear();
    stack.emplace_back(std::move(y));
  }

 private:
  at::Tensor pack(std::int64_t rows) const {
    static const auto reorder = c10::Dispatcher::singleton()
                                    .findSchemaOrThrow("mkldnn::_reorder_linear_weight", "")
                                    .typed<at::Tensor(const at::Tensor&, std::optional<std::int64_t>)>();
    return reorder.call(weight_.contiguous(), rows);
  }

  at::Tensor large(const at::Tensor& x, const at::Tensor& other, std::int64_t rows) const {
    const at::Tensor weight = packed_.for_input(rows);
    if (!epilogue_.adds) return plain(x, weight);
    std::vector<std::int64_t> sizes = x.sizes().vec();
    sizes.back() = weight_.size(0);
    TORCH_CHECK(other.sizes() == at::IntArrayRef(sizes) && other.scalar_type() == x.scalar_type(), "what is added to a linear layer of ",
                x.sizes(), " is ", other.scalar_type(), " ", other.sizes());
    return with_add(x, other, weight);
  }

  at::Tensor plain(const at::Tensor& x, const at::Tensor& weight) const {
    static const auto op =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
            .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const OptionalTensor&, std::string_view, Scalars, Text)>();
    return op.call(x, weight, bias_, epilogue_.activation, epilogue_.scalars, epilogue_.algorithm_view());
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
};

}  // namespace

std::shared_ptr<const Kernel> packed_linear(at::Tensor weight, at::Tensor bias, Epilogue epilogue) {
  return std::make_shared<PackedLinear>(std::move(weight), bias, std::move(epilogue));
}

}  // namespace portfire::graph
