#pragma once

#include <string>
#include <vector>

#include <portfire/answer.h>

namespace portfire::apps {

/// Writes a model's outputs to a .safetensors, .npy (one output only) or .json file, whole or not at all.
/// Throws kInvalidArgument on another suffix, kIo.
void write_outputs(const std::string& path, const TensorAnswer& answer);

}  // namespace portfire::apps
