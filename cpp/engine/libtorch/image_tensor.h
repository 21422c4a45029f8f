#pragma once

#include <ATen/core/Tensor.h>

#include <portfire/model.h>

namespace portfire::libtorch {

/// uint8 [H, W, 3] to float32 [1, C, H, W]. Throws kInvalidArgument on options that make no sense.
at::Tensor image_tensor(const at::Tensor& image, const ImageTensorOptions& options);

}  // namespace portfire::libtorch
