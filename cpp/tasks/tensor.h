#pragma once

#include <memory>

#include "tasks/task.h"

namespace portfire {

/// Tensors to tensors, for any TorchScript: .npy, .safetensors or JSON in, `forward`'s outputs out.
std::unique_ptr<Task> make_tensor_task();

}  // namespace portfire
