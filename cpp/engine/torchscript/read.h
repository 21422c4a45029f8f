#pragma once

#include <torch/csrc/jit/api/module.h>

#include "archive/archive.h"

namespace portfire::torchscript {

/// Deserialises the archive's program onto the CPU, in evaluation mode, after making sure that LibTorch
/// reads the same records in it as the archive reader checked. Throws kInvalidPackage, kUntrustedPackage.
torch::jit::Module read_module(const Archive& archive);

}  // namespace portfire::torchscript
