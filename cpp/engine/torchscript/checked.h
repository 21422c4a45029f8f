#pragma once

#include <torch/csrc/jit/api/module.h>

#include <string>
#include <vector>

#include "archive/archive.h"
#include "engine/torchscript/allow_list.h"

namespace portfire::torchscript {

/// A module whose operators are all allowed, and what its methods come to.
struct CheckedModule {
  torch::jit::Module module;
  std::vector<MethodContents> contents;
};

/// Reads the archive's program and checks it, whatever depth it is nested to. Runs nothing.
/// Throws kInvalidPackage, kUntrustedPackage, kResourceExhausted.
CheckedModule read_checked(const Archive& archive, const std::vector<std::string>& allow_ops);

}  // namespace portfire::torchscript
