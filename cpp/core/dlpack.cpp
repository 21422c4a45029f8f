#include <dlpack/dlpack.h>

#include <cstdint>

#include <portfire/error.h>
#include <portfire/tensor.h>

#include "core/text.h"

namespace portfire {
namespace {

// kDLBool came to DLPack after the header that Debian 12 ships; its number is part of the ABI.
constexpr std::uint8_t kBoolCode = 6;

DLDataType dlpack_type(DType dtype) {
  const auto bits = static_cast<std::uint8_t>(size_of(dtype) * 8);
  switch (dtype) {
    case DType::kBool: return {kBoolCode, bits, 1};
    case DType::kUInt8: return {kDLUInt, bits, 1};
    case DType::kInt8:
    case DType::kInt16:
    case DType::kInt32:
    case DType::kInt64: return {kDLInt, bits, 1};
    case DType::kBFloat16: return {kDLBfloat, bits, 1};
    case DType::kFloat16:
    case DType::kFloat32:
    case DType::kFloat64: return {kDLFloat, bits, 1};
  }
  throw Error(ErrorCode::kInternal, "unknown dtype");
}

DType dtype_of(const DLDataType& type) {
  for (int i = 0; i <= static_cast<int>(DType::kFloat64); ++i) {
    const auto dtype = static_cast<DType>(i);
    const DLDataType candidate = dlpack_type(dtype);
    if (candidate.code == type.code && candidate.bits == type.bits && type.lanes == 1) return dtype;
  }
  throw Error(ErrorCode::kUnsupported,
              cat("a DLPack tensor of type code ", int{type.code}, ", ", int{type.bits}, " bits, ", type.lanes,
                  " lanes; convert it to bool, uint8, int8-64 or float16-64"));
}

Device device_of(const DLDevice& device) {
  // Pinned host memory is host memory.
  if (device.device_type == kDLCPU || device.device_type == kDLCUDAHost) return {};
  if (device.device_type == kDLCUDA) return {Device::Kind::kCuda, device.device_id};
  throw Error(ErrorCode::kUnsupported,
              cat("a DLPack tensor on device type ", static_cast<int>(device.device_type), "; move it to the CPU or CUDA"));
}

struct Export {
  DLManagedTensor managed;
  Tensor tensor;
  Dims shape;
  Dims strides;
};

}  // namespace

Tensor Tensor::from_dlpack(DLManagedTensor* managed) {
  const auto release = [](void* context) {
    auto* tensor = static_cast<DLManagedTensor*>(context);
    if (tensor->deleter != nullptr) tensor->deleter(tensor);
  };
  Tensor owner = external({.release = release, .context = managed});  // from here on released once, also on a throw
  const DLTensor& from = managed->dl_tensor;
  const auto rank = static_cast<std::size_t>(from.ndim);
  owner.dtype_ = dtype_of(from.dtype);
  owner.device_ = device_of(from.device);
  owner.shape_ = Dims(std::span(from.shape, rank));
  owner.data_ = static_cast<std::byte*>(from.data) + from.byte_offset;
  if (from.strides != nullptr) {
    owner.strides_ = Dims(std::span(from.strides, rank));
  } else {
    owner.strides_ = owner.shape_;
    std::int64_t step = 1;
    for (std::size_t axis = rank; axis-- > 0;) {
      owner.strides_[axis] = step;
      step *= owner.shape_[axis] > 0 ? owner.shape_[axis] : 1;
    }
  }
  return owner;
}

DLManagedTensor* Tensor::to_dlpack() const {
  auto* out = new Export{.managed = {}, .tensor = *this, .shape = shape_, .strides = strides_};
  DLTensor& to = out->managed.dl_tensor;
  to.data = data_;
  to.device = {device_.kind == Device::Kind::kCpu ? kDLCPU : kDLCUDA, device_.index};
  to.ndim = static_cast<std::int32_t>(shape_.size());
  to.dtype = dlpack_type(dtype_);
  to.shape = const_cast<std::int64_t*>(out->shape.data());
  to.strides = const_cast<std::int64_t*>(out->strides.data());
  out->managed.manager_ctx = out;
  out->managed.deleter = [](DLManagedTensor* self) { delete static_cast<Export*>(self->manager_ctx); };
  return &out->managed;
}

}  // namespace portfire
