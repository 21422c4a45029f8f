#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <string>

#include <portfire/tensor.h>

namespace portfire::torchscript {

/// A tensor as a method's argument: itself where a tensor is taken, and the number in a tensor without axes
/// where a number is. The interpreter does not check, so anything else is refused here. `context` is what
/// errors begin with. Throws kInvalidInput.
c10::IValue argument_of(const c10::Argument& argument, const Tensor& input, const std::string& context);

}  // namespace portfire::torchscript
