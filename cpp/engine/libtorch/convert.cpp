#include "engine/libtorch/convert.h"

#include <ATen/core/function_schema.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/scalar_tensor.h>

#include <array>
#include <string>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::libtorch {
namespace {

constexpr std::array<std::pair<DType, at::ScalarType>, 10> kTypes{{{DType::kBool, at::kBool},
                                                                   {DType::kUInt8, at::kByte},
                                                                   {DType::kInt8, at::kChar},
                                                                   {DType::kInt16, at::kShort},
                                                                   {DType::kInt32, at::kInt},
                                                                   {DType::kInt64, at::kLong},
                                                                   {DType::kFloat16, at::kHalf},
                                                                   {DType::kBFloat16, at::kBFloat16},
                                                                   {DType::kFloat32, at::kFloat},
                                                                   {DType::kFloat64, at::kDouble}}};

void flatten_into(std::vector<NamedTensor>& out, const c10::IValue& value, const std::string& name) {
  if (value.isTensor()) {
    out.push_back({name, from_torch(value.toTensor())});
  } else if (value.isScalar()) {  // int, float or bool
    out.push_back({name, from_torch(at::scalar_tensor(value.toScalar(), value.isDouble() ? at::kDouble
                                                                        : value.isBool() ? at::kBool
                                                                                         : at::kLong))});
  } else if (value.isTuple()) {
    const auto& tuple = value.toTupleRef();
    const auto& schema = tuple.type()->schema();
    for (std::size_t k = 0; k < tuple.elements().size(); ++k) {
      const std::string own = schema ? schema->arguments()[k].name() : cat(name, "_", k);
      flatten_into(out, tuple.elements()[k], own);
    }
  } else if (value.isList()) {
    std::size_t k = 0;
    for (const c10::IValue& element : value.toListRef()) flatten_into(out, element, cat(name, "_", k++));
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) {
      const std::string key = entry.key().isString() ? entry.key().toStringRef() : cat(name, "_", entry.key());
      flatten_into(out, entry.value(), key);
    }
  } else if (!value.isNone()) {
    throw Error(ErrorCode::kUnsupported, cat("an output of type ", value.tagKind(),
                                             "; Portfire returns tensors, numbers, tuples, lists and dictionaries"));
  }
}

}  // namespace

DType dtype_of(at::ScalarType type) {
  for (const auto& [dtype, scalar] : kTypes) {
    if (scalar == type) return dtype;
  }
  throw Error(ErrorCode::kUnsupported, cat("a tensor of dtype ", c10::toString(type), "; convert it in the model"));
}

at::ScalarType scalar_type_of(DType dtype) noexcept { return kTypes[static_cast<std::size_t>(dtype)].second; }

c10::Device torch_device(Device device) noexcept {
  return device.kind == Device::Kind::kCpu ? c10::Device(c10::kCPU)
                                           : c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(device.index));
}

at::Tensor to_torch(const Tensor& tensor) {
  const at::IntArrayRef sizes(tensor.shape().data(), tensor.shape().size());
  const at::IntArrayRef strides(tensor.strides().data(), tensor.strides().size());
  // LibTorch never writes to a model's input; DLPack and from_blob have no const.
  return at::from_blob(const_cast<void*>(tensor.data()), sizes, strides, [held = tensor](void*) {},
                       at::TensorOptions(scalar_type_of(tensor.dtype())).device(torch_device(tensor.device())));
}

Tensor from_torch(at::Tensor tensor) {
  if (tensor.layout() != at::kStrided) tensor = tensor.to_dense();
  if (tensor.is_conj() || tensor.is_neg()) tensor = tensor.resolve_conj().resolve_neg();
  const auto* held = new at::Tensor(std::move(tensor));
  Tensor::External memory;
  memory.release = [](void* context) { delete static_cast<at::Tensor*>(context); };
  memory.context = const_cast<at::Tensor*>(held);
  const bool cuda = held->is_cuda();
  try {
    memory.dtype = dtype_of(held->scalar_type());
    memory.shape = Dims(std::span(held->sizes().data(), held->sizes().size()));
    memory.strides = Dims(std::span(held->strides().data(), held->strides().size()));
  } catch (...) {
    delete held;
    throw;
  }
  memory.data = held->data_ptr();
  memory.device = {cuda ? Device::Kind::kCuda : Device::Kind::kCpu, cuda ? held->device().index() : 0};
  return Tensor::external(memory);
}

std::vector<NamedTensor> flatten(const c10::IValue& value) {
  std::vector<NamedTensor> out;
  flatten_into(out, value, "output");
  return out;
}

}  // namespace portfire::libtorch
