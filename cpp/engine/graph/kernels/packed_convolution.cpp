#include "engine/graph/kernels/packed_convolution.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/convolution.h>

#include <optional>
#include <utility>

#include "engine/graph/kernels/direct/layer.h"
#include "engine/graph/kernels/direct/transposed.h"
#include "engine/graph/kernels/direct/volume.h"
#include "engine/graph/kernels/direct/winograd.h"
#include "engine/graph/kernels/packed.h"

namespace portfire::graph {
namespace {

using Scalars = torch::List<std::optional<at::Scalar>>;
using Text = std::optional<std::string_view>;
using OptionalTensor = std::optional<at::Tensor>;

// Multiplications below which a call to oneDNN, with its some 10 us, is not worth it: beside our own kernel, and beside
// LibTorch's operator where ours does not compute the layer.
constexpr double kLeastBeyondOurs = 1 << 24;
constexpr double kLeastProducts = 1 << 17;
// What padding may make of an input: this many times as much, or in all this many numbers.
constexpr double kMostGrowth = 4;
constexpr double kAnyGrowth = 1 << 16;

auto operator_named(const char* name, const char* overload = "") {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
}

class PackedConvolution final : public Kernel {
 public:
  PackedConvolution(Convolution convolution, Epilogue epilogue)
      : convolution_(std::move(convolution)), epilogue_(std::move(epilogue)),
        weights_([this](at::IntArrayRef sizes) { return pack(sizes); }) {
    if (convolution_.bias.defined()) bias_ = convolution_.bias;
    const Convolution& c = convolution_;
    const bool is_plain = c.weight.scalar_type() == at::kFloat && c.weight.dim() == 4 && !c.transposed;
    const bool is_volume = c.weight.scalar_type() == at::kFloat && c.weight.dim() == 5 && !c.transposed && c.groups == 1;
    if (is_volume && direct::kernels().convolves) volume_.emplace(c.weight, c.bias);
    if (is_plain && c.groups == 1) direct_.emplace(c.weight, c.bias);
    if (is_plain && is_winograd()) winograd_.emplace(c.weight, c.bias);
    if (is_phased()) transposed_.emplace(c.weight, c.bias, c.stride, c.padding);
    const bool is_depthwise = is_plain && c.groups > 1 && c.groups == c.weight.size(0) && c.weight.size(1) == 1;
    if (is_depthwise && direct::DepthwiseLayer::takes(c.groups)) depthwise_.emplace(c.weight, c.bias);
  }

  void run(torch::jit::Stack& stack) const override {
    const at::Tensor x = direct::resolved(stack[0].toTensor());
    const std::vector<std::int64_t> sizes = checked_output_sizes(x);
    const at::Tensor other = epilogue_.adds ? direct::resolved(stack[1].toTensor()) : at::Tensor();
    TORCH_CHECK(!other.defined() || (other.sizes() == at::IntArrayRef(sizes) && other.scalar_type() == x.scalar_type()),
                "what is added to a convolution of ", x.sizes(), " is ", other.scalar_type(), " ", other.sizes());
    at::Tensor y = depthwise_                           ? depthwise(x, other, sizes)
                   : transposed_ && is_wide(x)          ? transposed(x, sizes)
                   : volume_ && pads_little(x)          ? volume(x, other, sizes)
                   : winograd_ && is_worth_tiles(sizes) ? winograd(x, other, sizes)
                   : is_ours(x)                         ? ours(x, other, sizes)
                                                        : onednn(x, other);
    stack.clear();
    stack.emplace_back(std::move(y));
  }

 private:
  /// Throws at what `aten::convolution` would refuse; oneDNN takes it on trust.
  std::vector<std::int64_t> checked_output_sizes(const at::Tensor& x) const {
    const Convolution& c = convolution_;
    TORCH_CHECK(x.dim() == c.weight.dim() && x.scalar_type() == c.weight.scalar_type() && x.numel() > 0, "a convolution with a weight ",
                c.weight.scalar_type(), " ", c.weight.sizes(), " does not take ", x.scalar_type(), " ", x.sizes());
    const std::int64_t channels = c.transposed ? c.weight.size(0) : c.weight.size(1) * c.groups;
    TORCH_CHECK(x.size(1) == channels, "a convolution of ", channels, " channels was given ", x.sizes());
    std::vector<std::int64_t> sizes{x.size(0), c.transposed ? c.weight.size(1) * c.groups : c.weight.size(0)};
    for (std::int64_t axis = 2; axis < x.dim(); ++axis) {
      const auto k = static_cast<std::size_t>(axis - 2);
      const std::int64_t extent = c.dilation[k] * (c.weight.size(axis) - 1) + 1;
      const std::int64_t room = x.size(axis) + 2 * c.padding[k] - extent;
      sizes.push_back(c.transposed ? (x.size(axis) - 1) * c.stride[k] - 2 * c.padding[k] + extent + c.output_padding[k]
                                   : room < 0 ? 0 : room / c.stride[k] + 1);
    }
    for (const std::int64_t size : sizes) TORCH_CHECK(size > 0, "a kernel of ", c.weight.sizes(), " is larger than the padded input ", x.sizes());
    return sizes;
  }

  bool is_winograd() const {
    const Convolution& c = convolution_;
    const std::vector<std::int64_t> ones{1, 1};
    return c.groups == 1 && c.weight.size(2) == 3 && c.weight.size(3) == 3 && c.stride == ones && c.dilation == ones &&
           direct::WinogradLayer::takes(c.weight.size(1), c.weight.size(0));
  }

  bool is_phased() const {
    const Convolution& c = convolution_;
    return c.transposed && c.groups == 1 && c.weight.scalar_type() == at::kFloat && c.weight.dim() == 4 &&
           c.dilation == std::vector<std::int64_t>{1, 1} && direct::TransposedLayer::takes(c.weight, c.stride);
  }

  /// Less would be mostly padding.
  static bool is_wide(const at::Tensor& x) { return x.size(2) >= 4 && x.size(3) >= 4; }

  bool is_worth_tiles(const std::vector<std::int64_t>& sizes) const {
    constexpr double kLeastPixels = 32;
    return static_cast<double>(sizes[0]) * static_cast<double>(sizes[2]) * static_cast<double>(sizes[3]) >= kLeastPixels;
  }

  /// For our own kernel, or LibTorch's operator where there is none. In floating point: sizes may be any.
  bool is_ours(const at::Tensor& x) const {
    const bool can = direct_ && pads_little(x);
    if (can && direct::kernels().convolves) return true;
    const double pixels = static_cast<double>(x.numel()) / static_cast<double>(x.size(1));
    return pixels * static_cast<double>(convolution_.weight.numel()) < (can ? kLeastBeyondOurs : kLeastProducts);
  }

  /// Our own kernels copy their input with the padding around it.
  bool pads_little(const at::Tensor& x) const {
    double growth = 1;
    for (std::size_t k = 0; k < convolution_.padding.size(); ++k) {
      growth *= 1 + 2 * static_cast<double>(convolution_.padding[k]) / static_cast<double>(x.size(static_cast<std::int64_t>(k) + 2));
    }
    return growth <= kMostGrowth || growth * static_cast<double>(x.numel()) <= kAnyGrowth;
  }

  at::Tensor depthwise(const at::Tensor& x, const at::Tensor& other, const std::vector<std::int64_t>& sizes) const {
    const Convolution& c = convolution_;
    const std::optional<direct::Bounds> bounds = other.defined() ? std::nullopt : bounds_of(epilogue_);
    at::Tensor y = depthwise_->convolution(x, sizes, c.stride, c.padding, c.dilation, bounds.value_or(direct::kUnbounded));
    return bounds ? y : apply(epilogue_, std::move(y), other);
  }

  at::Tensor transposed(const at::Tensor& x, const std::vector<std::int64_t>& sizes) const {
    const std::optional<direct::Bounds> bounds = bounds_of(epilogue_);
    at::Tensor y = transposed_->convolution(x, sizes, bounds.value_or(direct::kUnbounded));
    return bounds ? y : apply(epilogue_, std::move(y), {});
  }

  at::Tensor volume(const at::Tensor& x, const at::Tensor& other, const std::vector<std::int64_t>& sizes) const {
    const Convolution& c = convolution_;
    const std::optional<direct::Bounds> bounds = bounds_of(epilogue_);
    at::Tensor y = volume_->convolution(x, other, sizes, c.stride, c.padding, c.dilation, bounds.value_or(direct::kUnbounded));
    return bounds ? y : apply(epilogue_, std::move(y), {});
  }

  at::Tensor winograd(const at::Tensor& x, const at::Tensor& other, const std::vector<std::int64_t>& sizes) const {
    const std::optional<direct::Bounds> bounds = bounds_of(epilogue_);
    at::Tensor y = winograd_->convolution(x, other, sizes, convolution_.padding, bounds.value_or(direct::kUnbounded));
    return bounds ? y : apply(epilogue_, std::move(y), {});
  }

  at::Tensor ours(const at::Tensor& x, const at::Tensor& other, const std::vector<std::int64_t>& sizes) const {
    const Convolution& c = convolution_;
    if (!direct_ || !pads_little(x)) {
      return apply(epilogue_, at::convolution(x, c.weight, bias_, c.stride, c.padding, c.dilation, c.transposed, c.output_padding, c.groups), other);
    }
    const std::optional<direct::Bounds> bounds = bounds_of(epilogue_);
    at::Tensor y = direct_->convolution(x, other, sizes, c.stride, c.padding, c.dilation, bounds.value_or(direct::kUnbounded));
    return bounds ? y : apply(epilogue_, std::move(y), {});
  }

  at::Tensor onednn(const at::Tensor& x, const at::Tensor& other) const {
    const at::Tensor weight = weights_.for_input(x.sizes());
    return epilogue_.adds ? with_add(x, other, weight) : plain(x, weight);
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
    const bool rectifies = epilogue_.activation == "relu";  // the one activation that it has for a sum
    at::Tensor y = op.call(x, other, weight, bias_, c.padding, c.stride, c.dilation, c.groups, "add", at::Scalar(1.0),
                           rectifies ? Text("relu") : Text(), Scalars(), {});
    return rectifies ? y : apply(epilogue_, std::move(y), {});
  }

  Convolution convolution_;
  Epilogue epilogue_;
  OptionalTensor bias_;
  PackedWeights weights_;
  std::optional<direct::Layer> direct_;
  std::optional<direct::WinogradLayer> winograd_;
  std::optional<direct::TransposedLayer> transposed_;
  std::optional<direct::VolumeLayer> volume_;
  std::optional<direct::DepthwiseLayer> depthwise_;
};

}  // namespace

std::shared_ptr<const Kernel> packed_convolution(Convolution convolution, Epilogue epilogue) {
  return std::make_shared<PackedConvolution>(std::move(convolution), std::move(epilogue));
}

}  // namespace portfire::graph
