#pragma once

#include <torch/csrc/jit/api/module.h>

#include <vector>

#include "engine/torchscript/allow_list.h"
#include "engine/torchscript/torchscript.h"

namespace portfire::torchscript {

/// Signatures, operators and weight of a module whose operators have been checked.
ProgramInfo describe_module(const torch::jit::Module& module, const std::vector<MethodContents>& contents);

}  // namespace portfire::torchscript
