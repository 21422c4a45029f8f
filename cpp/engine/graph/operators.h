#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string>
#include <vector>

#include "engine/graph/numbers.h"

namespace portfire::graph {

/// What a node calls: an operator of LibTorch's dispatcher, or Python's arithmetic on numbers.
struct Operator {
  std::string name;                           ///< "aten::linear", "_operator.mul"
  std::optional<c10::OperatorHandle> handle;  ///< else `number`
  NumberFunction number = nullptr;
};

/// Looks `target` ("torch.ops.aten.linear.default") up and holds it against the list of operators that only
/// compute. Throws kUntrustedPackage, and kUnsupported where this LibTorch has no such operator; `model` is
/// what errors call the file.
Operator find_operator(const std::string& target, std::size_t arguments, const std::vector<std::string>& allow_ops,
                       const std::string& model);

}  // namespace portfire::graph
