#pragma once

#include <ATen/core/function.h>

namespace portfire::torchscript {

/// What a method changes beside its own values.
struct Effects {
  bool writes_module = false;  ///< its module's attributes: calls must wait for each other
  bool writes_inputs = false;  ///< its arguments' elements: it must be given copies
};

/// Learnt from LibTorch's alias analysis; where that cannot tell, the answer is yes.
Effects effects_of(torch::jit::Function& method);

}  // namespace portfire::torchscript
