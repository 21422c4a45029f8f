#include "tasks/padding.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {
namespace {

bool may_share(const TensorSpec* spec, const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.rank() != b.rank()) return false;
  if (a.shape() == b.shape()) return true;
  if (spec == nullptr || !spec->padding || spec->shape.size() != a.rank() + 1) return false;
  for (std::size_t axis = 0; axis < a.rank(); ++axis) {
    if (a.shape()[axis] != b.shape()[axis] && spec->shape[axis + 1].symbol.empty()) return false;
  }
  return true;
}

template <typename T>
Tensor filled(const Dims& shape, double value) {
  Tensor tensor = Tensor::zeros(DTypeOf<T>::value, shape);
  auto* first = static_cast<T*>(tensor.mutable_data());
  if (value != 0) std::fill(first, first + tensor.numel(), static_cast<T>(value));
  return tensor;
}

Tensor filled(DType dtype, const Dims& shape, double value) {
  switch (dtype) {
    case DType::kUInt8: return filled<std::uint8_t>(shape, value);
    case DType::kInt8: return filled<std::int8_t>(shape, value);
    case DType::kInt16: return filled<std::int16_t>(shape, value);
    case DType::kInt32: return filled<std::int32_t>(shape, value);
    case DType::kInt64: return filled<std::int64_t>(shape, value);
    case DType::kFloat32: return filled<float>(shape, value);
    case DType::kFloat64: return filled<double>(shape, value);
    default: break;
  }
  if (value == 0) return Tensor::zeros(dtype, shape);
  throw Error(ErrorCode::kUnsupported, cat("samples of ", name_of(dtype), " can be filled up with 0 only, not ", value));
}

/// Copies `from` into the corner of `to`, row by row of the last axis.
void copy_into(const Tensor& from, Tensor& to) {
  const Tensor plain = from.contiguous();
  const std::size_t rank = plain.rank();
  if (plain.numel() == 0) return;
  const std::size_t row = static_cast<std::size_t>(plain.shape()[rank - 1]) * (plain.nbytes() / static_cast<std::size_t>(plain.numel()));
  const std::size_t item = row / static_cast<std::size_t>(plain.shape()[rank - 1]);
  const auto* source = static_cast<const std::byte*>(plain.data());
  auto* target = static_cast<std::byte*>(to.mutable_data());
  std::vector<std::int64_t> index(rank, 0);
  const std::size_t rows = plain.nbytes() / row;
  for (std::size_t k = 0; k < rows; ++k) {
    std::size_t place = 0;
    for (std::size_t axis = 0; axis + 1 < rank; ++axis) place = (place + static_cast<std::size_t>(index[axis])) * static_cast<std::size_t>(to.shape()[axis + 1]);
    std::memcpy(target + place * item, source + k * row, row);
    for (std::size_t axis = rank - 1; axis-- > 0;) {
      if (++index[axis] < plain.shape()[axis]) break;
      index[axis] = 0;
    }
  }
}

}  // namespace

bool may_share_batch(const MethodSpec* forward, std::span<const Tensor> a, std::span<const Tensor> b) {
  if (a.size() != b.size()) return false;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const TensorSpec* spec = forward != nullptr && k < forward->inputs.size() ? &forward->inputs[k] : nullptr;
    if (!may_share(spec, a[k], b[k])) return false;
  }
  return true;
}

void fill_up(std::vector<Tensor>& tensors, double value, const Engine& engine) {
  Dims most = tensors.front().shape();
  for (const Tensor& tensor : tensors) {
    for (std::size_t axis = 0; axis < most.size(); ++axis) most[axis] = std::max(most[axis], tensor.shape()[axis]);
  }
  if (std::all_of(tensors.begin(), tensors.end(), [&](const Tensor& tensor) { return tensor.shape() == most; })) return;
  for (Tensor& tensor : tensors) {
    tensor = engine.to_cpu(tensor);
    if (tensor.shape() == most) continue;
    Tensor larger = filled(tensor.dtype(), most, value);
    copy_into(tensor, larger);
    tensor = larger;
  }
}

}  // namespace portfire
