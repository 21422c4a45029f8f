#pragma once

#include <torch/csrc/jit/api/module.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace portfire::torchscript {

/// What one method comes to when all that it calls is counted in.
struct MethodContents {
  std::string name;
  std::set<std::string> operators;
  std::int64_t constants = 0;       ///< elements of the tensors held in the graph itself (frozen models)
  std::int64_t constant_bytes = 0;
};

/// Walks every method of the module and all that they call. Throws kUntrustedPackage at the first operator
/// that is neither on the list nor in `allow_ops`, with its name and source line; `name` is the model's.
std::vector<MethodContents> check_operators(const torch::jit::Module& module, const std::vector<std::string>& allow_ops,
                                            const std::string& name);

}  // namespace portfire::torchscript
