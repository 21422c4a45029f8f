#include "engine/graph/weights.h"

#include <ATen/ops/from_blob.h>

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "engine/libtorch/convert.h"

namespace portfire::graph {
namespace {

/// Kernels take another way, and round otherwise, where a weight begins within a vector of theirs.
bool is_aligned(const std::byte* data) { return reinterpret_cast<std::uintptr_t>(data) % 16 == 0; }

/// A copy at an aligned place.
std::shared_ptr<std::byte> aligned_copy(std::span<const std::byte> bytes) {
  const std::size_t rounded = (bytes.size() + 63) / 64 * 64;
  std::shared_ptr<std::byte> copy(static_cast<std::byte*>(std::aligned_alloc(64, std::max<std::size_t>(rounded, 64))), std::free);
  if (!copy) throw std::bad_alloc();
  std::copy(bytes.begin(), bytes.end(), copy.get());
  return copy;
}

}  // namespace

at::Tensor weight_tensor(const Archive& archive, const exported::Weight& weight, Device device) {
  // As PyTorch has them: a view of a parameter that was made in inference mode does not require a gradient, one of
  // another does, and products look at that.
  const c10::InferenceMode ordinary(false);
  const at::IntArrayRef sizes(weight.shape.data(), weight.shape.size());
  const at::IntArrayRef strides(weight.strides.data(), weight.strides.size());
  const auto options = at::TensorOptions(libtorch::scalar_type_of(weight.dtype));
  const auto skip = static_cast<std::size_t>(weight.offset) * size_of(weight.dtype);
  const std::span<const std::byte> stored = archive.view(weight.record);
  at::Tensor tensor;
  if (!stored.empty() && is_aligned(stored.data())) {
    auto* data = const_cast<std::byte*>(stored.data()) + skip;  // no operator that writes gets near it
    tensor = at::from_blob(data, sizes, strides, [archive](void*) {}, options);
  } else {
    const std::shared_ptr<std::byte> bytes = aligned_copy(stored.empty() ? archive.read(weight.record) : std::vector<std::byte>(stored.begin(), stored.end()));
    tensor = at::from_blob(bytes.get() + skip, sizes, strides, [bytes](void*) {}, options);
  }
  if (device.kind != Device::Kind::kCpu) tensor = tensor.to(libtorch::torch_device(device));
  const bool may = at::isFloatingType(tensor.scalar_type()) || at::isComplexType(tensor.scalar_type());
  if (weight.requires_grad && may) tensor.set_requires_grad(true);
  return tensor;
}

}  // namespace portfire::graph
