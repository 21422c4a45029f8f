#include "engine/graph/kernels/packed_linear.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/linear.h>

#include <limits>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "engine/graph/kernels/direct/rows.h"
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
      : outputs_(weight.size(0)), inputs_(weight.size(1)), dtype_(weight.scalar_type()), weight_(std::move(weight)), epilogue_(std::move(epilogue)),
        onednn_([this](at::IntArrayRef rows) { return pack(rows[0]); }) {
    if (bias.defined()) bias_ = bias;
    const bool is_ours = dtype_ == at::kFloat;
    most_ = static_cast<double>(is_ours ? direct::kernels().most_products : kLeastProducts);
    // oneDNN's error function costs nearly as much as the layer.
    activates_after_ = is_ours && epilogue_.activation == "gelu" && epilogue_.algorithm != "tanh";
  }

  PackedLinear(direct::LinearWeight weight, const at::Tensor& bias, Epilogue epilogue)
      : outputs_(weight.outputs), inputs_(weight.inputs), epilogue_(std::move(epilogue)), direct_(std::move(weight)) {
    std::call_once(packed_once_, [&] { direct_bias_ = direct::packed_bias(bias, outputs_); });
  }

  void run(torch::jit::Stack& stack) const override {
    const at::Tensor x = direct::resolved(stack[0].toTensor());
    TORCH_CHECK(x.dim() > 0 && x.size(-1) == inputs_ && x.scalar_type() == dtype_, "mat1 and mat2 shapes cannot be multiplied (", x.scalar_type(), " ", x.sizes(), " and ",
                dtype_, " [", outputs_, ", ", inputs_, "])");
    const std::int64_t rows = x.numel() / inputs_;
    const at::Tensor other = epilogue_.adds ? direct::resolved(stack[1].toTensor()) : at::Tensor();
    check(x, other);
    at::Tensor y = static_cast<double>(rows) * static_cast<double>(outputs_ * inputs_) < most_ ? small(x, other) : large(x, other, rows);
    stack.clear();
    stack.emplace_back(std::move(y));
  }

 private:
  at::Tensor small(const at::Tensor& x, const at::Tensor& other) const {
    if (dtype_ != at::kFloat) return apply(epilogue_, at::linear(x, weight_, bias_), other);
    std::call_once(packed_once_, [this] {
      direct_ = direct::packed_linear_weight(weight_, direct::Kept::kFloat32);
      direct_bias_ = direct::packed_bias(bias_.value_or(at::Tensor()), outputs_);
    });
    const std::optional<direct::Bounds> bounds = bounds_of(epilogue_);
    at::Tensor y = direct::linear(x, direct_, direct_bias_, other, bounds.value_or(direct::kUnbounded));
    return bounds ? y : apply(epilogue_, std::move(y), {});
  }

  void check(const at::Tensor& x, const at::Tensor& other) const {
    if (!other.defined()) return;
    std::vector<std::int64_t> sizes = x.sizes().vec();
    sizes.back() = outputs_;
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
    const at::Tensor weight = onednn_.for_input(rows);
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

  std::int64_t outputs_, inputs_;
  at::ScalarType dtype_ = at::kFloat;
  at::Tensor weight_;  // undefined where all is for our own kernel
  Epilogue epilogue_;
  OptionalTensor bias_;
  PackedWeights onednn_{PackedWeights::Pack()};
  mutable std::once_flag packed_once_;
  mutable direct::LinearWeight direct_;
  mutable at::Tensor direct_bias_;
  double most_ = std::numeric_limits<double>::infinity();  // multiplications that are not for oneDNN
  bool activates_after_ = false;
};

class PackedEmbedding final : public Kernel {
 public:
  explicit PackedEmbedding(direct::LinearWeight weight) : weight_(std::move(weight)) {}

  void run(torch::jit::Stack& stack) const override {
    const at::Tensor& ids = stack[0].toTensor();
    TORCH_CHECK(ids.scalar_type() == at::kLong || ids.scalar_type() == at::kInt, "indices of an embedding are ", ids.scalar_type(), "; int64 or int32 are taken");
    at::Tensor y = direct::embedding(weight_, ids);
    stack.clear();
    stack.emplace_back(std::move(y));
  }

 private:
  direct::LinearWeight weight_;
};

}  // namespace

std::shared_ptr<const Kernel> packed_linear(at::Tensor weight, at::Tensor bias, Epilogue epilogue) {
  return std::make_shared<PackedLinear>(std::move(weight), bias, std::move(epilogue));
}

std::shared_ptr<const Kernel> packed_linear(direct::LinearWeight weight, at::Tensor bias, Epilogue epilogue) {
  return std::make_shared<PackedLinear>(std::move(weight), bias, std::move(epilogue));
}

std::shared_ptr<const Kernel> packed_embedding(direct::LinearWeight weight) { return std::make_shared<PackedEmbedding>(std::move(weight)); }

}  // namespace portfire::graph
