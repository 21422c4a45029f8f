#pragma once

/// Component `torch` of the CMake package (`portfire::torch`), for programs that use LibTorch themselves.
#include <ATen/DLConvertor.h>
#include <ATen/core/Tensor.h>

#include <portfire/tensor.h>

namespace portfire {

/// Shares the elements; either side keeps them alive.
inline Tensor from_torch(const at::Tensor& tensor) { return Tensor::from_dlpack(at::toDLPack(tensor)); }
inline at::Tensor to_torch(const Tensor& tensor) { return at::fromDLPack(tensor.to_dlpack()); }

}  // namespace portfire
