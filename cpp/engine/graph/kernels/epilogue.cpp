#include "engine/graph/kernels/epilogue.h"

#include <ATen/ops/add.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/hardsigmoid.h>
#include <ATen/ops/hardswish.h>
#include <ATen/ops/hardtanh.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tanh.h>

namespace portfire::graph {

namespace {

/// What a kernel of our own does too.
std::optional<direct::Activation> ours(const Epilogue& epilogue) {
  const std::string& activation = epilogue.activation;
  if (activation == "gelu") return epilogue.algorithm == "tanh" ? direct::Activation::kGeluTanh : direct::Activation::kGelu;
  if (activation == "swish") return direct::Activation::kSilu;
  if (activation == "sigmoid") return direct::Activation::kSigmoid;
  if (activation == "tanh") return direct::Activation::kTanh;
  return std::nullopt;
}

}  // namespace

at::Tensor apply(const Epilogue& epilogue, at::Tensor y, const at::Tensor& other) {
  if (other.defined()) y = at::add(y, other);
  const std::string& activation = epilogue.activation;
  const auto scalar = [&](std::size_t k) { return *epilogue.scalars.get(k); };
  if (activation == "none") return y;
  const std::optional<direct::Activation> known = ours(epilogue);
  if (known && y.scalar_type() == at::kFloat && y.is_non_overlapping_and_dense()) {
    direct::activate(y, *known);
    return y;
  }
  if (activation == "relu") return at::relu_(y);
  if (activation == "sigmoid") return at::sigmoid_(y);
  if (activation == "tanh") return at::tanh_(y);
  if (activation == "swish") return at::silu_(y);
  if (activation == "hardswish") return at::hardswish_(y);
  if (activation == "hardsigmoid") return at::hardsigmoid_(y);
  if (activation == "hardtanh") return at::hardtanh_(y, scalar(0), scalar(1));
  if (activation == "leaky_relu") return at::leaky_relu_(y, scalar(0));
  TORCH_INTERNAL_ASSERT(activation == "gelu");
  return at::gelu(y, *epilogue.algorithm);
}

std::optional<direct::Bounds> bounds_of(const Epilogue& epilogue) {
  if (epilogue.activation == "none") return direct::kUnbounded;
  if (epilogue.activation == "relu") return direct::Bounds{.low = 0, .high = direct::kUnbounded.high};
  if (epilogue.activation != "hardtanh") return std::nullopt;
  return direct::Bounds{.low = epilogue.scalars.get(0)->toFloat(), .high = epilogue.scalars.get(1)->toFloat()};
}

}  // namespace portfire::graph
