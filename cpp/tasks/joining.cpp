#include "tasks/joining.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace portfire {
namespace {

bool has_samples_first(const TensorSpec& spec, const std::string& symbol) {
  if (spec.shape.empty() || spec.shape[0].symbol != symbol) return false;
  return std::none_of(spec.shape.begin() + 1, spec.shape.end(), [&](const Dimension& axis) { return axis.symbol == symbol; });
}

}  // namespace

bool joins(const MethodSpec* forward) {
  if (forward == nullptr || forward->inputs.empty() || forward->outputs.empty() || forward->inputs[0].shape.empty()) return false;
  const std::string& symbol = forward->inputs[0].shape[0].symbol;
  const auto all = [&](const std::vector<TensorSpec>& specs) {
    return std::all_of(specs.begin(), specs.end(), [&](const TensorSpec& spec) { return has_samples_first(spec, symbol); });
  };
  return !symbol.empty() && all(forward->inputs) && all(forward->outputs);
}

bool may_be_joined(std::span<const Tensor> a, std::span<const Tensor> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Tensor& one, const Tensor& other) {
    return one.dtype() == other.dtype() && one.device() == other.device() && one.device().kind == Device::Kind::kCpu && one.rank() == other.rank() &&
           std::equal(one.shape().begin() + 1, one.shape().end(), other.shape().begin() + 1);
  });
}

Tensor joined(std::span<const Tensor> parts) {
  if (parts.size() == 1) return parts[0];
  Dims shape = parts[0].shape();
  shape[0] = 0;
  for (const Tensor& part : parts) shape[0] += part.shape()[0];
  Tensor all = Tensor::zeros(parts[0].dtype(), shape);
  auto* at = static_cast<std::byte*>(all.mutable_data());
  for (const Tensor& part : parts) {
    const Tensor plain = part.contiguous();
    if (plain.nbytes() > 0) std::memcpy(at, plain.data(), plain.nbytes());
    at += plain.nbytes();
  }
  return all;
}

}  // namespace portfire
