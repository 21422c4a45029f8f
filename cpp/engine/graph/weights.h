#pragma once

#include <ATen/core/Tensor.h>

#include "archive/archive.h"
#include "archive/exported_program.h"

namespace portfire::graph {

/// The weight's elements: where they lie in the archive's bytes, which they keep alive, or a copy where the record
/// is compressed or the device another. Nobody may write to them.
at::Tensor weight_tensor(const Archive& archive, const exported::Weight& weight, Device device);

}  // namespace portfire::graph
