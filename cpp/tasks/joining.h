#pragma once

#include <span>
#include <vector>

#include <portfire/manifest.h>
#include <portfire/tensor.h>

namespace portfire {

/// True where every input and every output has one and the same symbol on its first axis, and no input has it elsewhere:
/// samples of several calls may then be put through one. False without a signature.
bool joins(const MethodSpec* forward);

/// True where two calls' inputs, each as `joins` asks, agree in all but the size of the first axis.
bool may_be_joined(std::span<const Tensor> a, std::span<const Tensor> b);

/// Tensors that agree in all but the size of their first axis, one after another, as a new one. On the CPU; one is given back
/// as it is.
Tensor joined(std::span<const Tensor> parts);

}  // namespace portfire
