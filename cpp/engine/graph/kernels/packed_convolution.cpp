#include "engine/graph/kernels/packed_convolution.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/convolution.h>

#include <utility>

#include "engine/graph/kernels/packed.h"

namespace portfire::graph {
namespace {

using Scalars = torch::List<std::optional<at::Scalar>>;
using Text = std::optional<std::string_view>;
using OptionalTensor = std::optional<at::Tensor>;

constexpr std::int64_t kLeastProducts = 1 << 17;  // multiplications; tools/bench/engines.py, cnn and lenet

auto operator_named(const char* name, const char* overload = "") {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
}

class PackedConvolution final : public Kernel {
 public:
  PackedConvolution(Convolution convolution, Epilogue epilogue)
      : convolution_(std::move(convolution)), epilogue_(std::move(epilogue)),
        weights_([this](at::IntArrayRef sizes) { return pack(sizes); }) {
    if (convolution_.bias.defined()) bias_ = convolution_.bias;
  }

  void run(torch::jit::Stack& stack) const override {
    const at::Tensor& x = stack[0].toTensor();
    check(x);
    const at::Tensor other = epilogue_.adds ? stack[1].toTensor() : at::Tensor();
    at::Tensor y = is_small(x) ? apply(epilogue_, small(x), other) : large(x, other);
    stack.clear();
    stack.emplace_back(std::move(y));
  }

 private:
  /// What `aten::convolution` would refuse; oneDNN takes it on trust.
  void check(const at::Tensor& x) const {
    const Convolution& c = convolution_;
    TORCH_CHECK(x.dim() == c.weight.dim() && x.scalar_type() == c.weight.scalar_type() && x.numel() > 0, "a convolution with a weight ",
                c.weight.scalar_type(), " ", c.weight.sizes(), " does not take ", x.scalar_type(), " ", x.sizes());
    const std::int64_t channels = c.transposed ? c.weight.size(0) : c.weight.size(1) * c.groups;
    TORCH_CHECK(x.size(1) == channels, "a convolution of ", channels, " channels was given ", x.sizes());
    for (const std::int64_t size : output_sizes(x)) TORCH_CHECK(size > 0, "a kernel of ", c.weight.sizes(), " is larger than the padded input ", x.sizes());
  }

  std::vector<std::int64_t> output_sizes(const at::Tensor& x) const {
    const Convolution& c = convolution_;
    std::vector<std::int64_t> sizes{x.size(0), c.transposed ? c.weight.size(1) * c.groups : c.weight.size(0)};
    for (std::int64_t axis = 2; axis < x.dim(); ++axis) {
      const auto k = static_cast<std::size_t>(axis - 2);
      const std::int64_t extent = c.dilation[k] * (c.weight.size(axis) - 1) + 1;
      const std::int64_t room = x.size(axis) + 2 * c.padding[k] - extent;
      sizes.push_back(c.transposed ? (x.size(axis) - 1) * c.stride[k] - 2 * c.padding[k] + extent + c.output_padding[k]
                                   : room < 0 ? 0 : room / c.stride[k] + 1);
    }
    return sizes;
  }

  /// A call to oneDNN costs some 10 us before it computes anything.
  bool is_small(const at::Tensor& x) const { return x.numel() / x.size(1) * convolution_.weight.numel() < kLeastProducts; }

  at::Tensor small(const at::Tensor& x) const {
    const Convolution& c = convolution_;
    return at::convolution(x, c.weight, bias_, c.stride, c.padding, c.dilation, c.transposed, c.output_padding, c.groups);
  }

  at::Tensor large(const at::Tensor& x, const at::Tensor& other) const {
    const at::Tensor weight = weights_.for_input(x.sizes());
    if (!epilogue_.adds) return plain(x, weight);
    TORCH_CHECK(other.sizes() == at::IntArrayRef(output_sizes(x)) && other.scalar_type() == x.scalar_type(), "what is added to a convolution of ",
                x.sizes(), " is ", other.scalar_type(), " ", other.sizes());
    return with_add(x, other, weight);
  }

  at::Tensor pack(at::IntArrayRef sizes) const {
    const Convolution& c = convolution_;
    if (c.transposed) {
      static const auto reorder =
          operator_named("mkldnn::_reorder_convolution_transpose_weight")
              .typed<at::Tensor(const at::Tensor&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, std::int64_t, at::OptionalIntArrayRef)>();
      return reorder.call(c.weight, c.padding, c.output_padding, c.stride, c.dilation, c.groups, sizes);
    }
    static const auto reorder =
        operator_named("mkldnn::_reorder_convolution_weight")
            .typed<at::Tensor(const at::Tensor&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, std::int64_t, at::OptionalIntArrayRef)>();
    return reorder.call(c.weight, c.padding, c.stride, c.dilation, c.groups, sizes);
  }

  at::Tensor plain(const at::Tensor& x, const at::Tensor& weight) const {
    const Convolution& c = convolution_;
    if (c.transposed) {
      static const auto op =
          operator_named("mkldnn::_convolution_transpose_pointwise")
              .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const OptionalTensor&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef,
                                at::IntArrayRef, std::int64_t, std::string_view, Scalars, Text)>();
      return op.call(x, weight, bias_, c.padding, c.output_padding, c.stride, c.dilation, c.groups, epilogue_.activation,
                     epilogue_.scalars, epilogue_.algorithm_view());
    }
    static const auto op = operator_named("mkldnn::_convolution_pointwise")
                               .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const OptionalTensor&, at::IntArrayRef, at::IntArrayRef,
                                                 at::IntArrayRef, std::int64_t, std::string_view, Scalars, Text)>();
    return op.call(x, weight, bias_, c.padding, c.stride, c.dilation, c.groups, epilogue_.activation, epilogue_.scalars,
                   epilogue_.algorithm_view());
  }

  at::Tensor with_add(const at::Tensor& x, const at::Tensor& other, const at::Tensor& weight) const {
    const Convolution& c = convolution_;
    static const auto op = operator_named("mkldnn::_convolution_pointwise", "binary")
                               .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, const OptionalTensor&, at::IntArrayRef,
                                                 at::IntArrayRef, at::IntArrayRef, std::int64_t, std::string_view, std::optional<at::Scalar>,
                                                 Text, Scalars, Text)>();
    const Text activation = epilogue_.activation == "none" ? Text() : Text(epilogue_.activation);
    return op.call(x, other, weight, bias_, c.padding, c.stride, c.dilation, c.groups, "add", at::Scalar(1.0), activation,
                   epilogue_.scalars, epilogue_.algorithm_view());
  }

  Convolution convolution_;
  Epilogue epilogue_;
  OptionalTensor bias_;
  PackedWeights weights_;
};

}  // namespace

std::shared_ptr<const Kernel> packed_convolution(Convolution convolution, Epilogue epilogue) {
  return std::make_shared<PackedConvolution>(std::move(convolution), std::move(epilogue));
}

}  // namespace portfire::graph
