#include "engine/graph/weights.h"

#include <ATen/ops/from_blob.h>

#include <memory>
#include <vector>

#include "engine/libtorch/convert.h"

namespace portfire::graph {
namespace {

bool is_aligned(const std::byte* data, DType dtype) { return reinterpret_cast<std::uintptr_t>(data) % size_of(dtype) == 0; }

}  // namespace

at::Tensor weight_tensor(const Archive& archive, const exported::Weight& weight, Device device) {
  const at::IntArrayRef sizes(weight.shape.data(), weight.shape.size());
  const at::IntArrayRef strides(weight.strides.data(), weight.strides.size());
  const auto options = at::TensorOptions(libtorch::scalar_type_of(weight.dtype));
  const auto skip = static_cast<std::size_t>(weight.offset) * size_of(weight.dtype);
  const std::span<const std::byte> stored = archive.view(weight.record);
  at::Tensor tensor;
  if (!stored.empty() && is_aligned(stored.data(), weight.dtype)) {
    auto* data = const_cast<std::byte*>(stored.data()) + skip;  // no operator that writes gets near it
    tensor = at::from_blob(data, sizes, strides, [archive](void*) {}, options);
  } else {
    auto bytes = std::make_shared<std::vector<std::byte>>(archive.read(weight.record));
    tensor = at::from_blob(bytes->data() + skip, sizes, strides, [bytes](void*) {}, options);
  }
  return device.kind == Device::Kind::kCpu ? tensor : tensor.to(libtorch::torch_device(device));
}

}  // namespace portfire::graph
