#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <vector>

#include <portfire/tensor.h>

namespace portfire::libtorch {

DType dtype_of(at::ScalarType type);  ///< throws kUnsupported
at::ScalarType scalar_type_of(DType dtype) noexcept;
c10::Device torch_device(Device device) noexcept;

/// Shares the elements in both directions; either side keeps them alive.
at::Tensor to_torch(const Tensor& tensor);
Tensor from_torch(at::Tensor tensor);

/// Tensors, numbers and booleans, nested in tuples, lists and dictionaries, flattened in order. A single
/// value is named "output", the k-th of several "output_k", a dictionary's by key. Throws kUnsupported.
std::vector<NamedTensor> flatten(const c10::IValue& value);

}  // namespace portfire::libtorch
