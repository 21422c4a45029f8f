#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/graph/guards.h"
#include "engine/graph/kernel.h"
#include "engine/graph/numbers.h"

namespace portfire::graph {

/// What a step calls: an operator of LibTorch's dispatcher, Python's arithmetic on numbers, or a kernel of our own.
struct Operator {
  std::string name;                           ///< "aten::linear", "_operator.mul"
  std::optional<c10::OperatorHandle> handle{};
  Guard guard = nullptr;                      ///< before `handle` is called
  NumberFunction number = nullptr;
  std::shared_ptr<const Kernel> kernel{};
};

/// Looks `target` ("torch.ops.aten.linear.default") up and holds it against the list of operators that only
/// compute. Throws kUntrustedPackage, and kUnsupported where this LibTorch has no such operator; `model` is
/// what errors call the file.
Operator find_operator(const std::string& target, std::size_t arguments, const std::vector<std::string>& allow_ops,
                       const std::string& model);

/// Without looking at the list; nothing for what is no operator of this LibTorch's.
std::optional<c10::OperatorHandle> find_schema(const std::string& target);

}  // namespace portfire::graph
