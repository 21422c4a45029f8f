#pragma once

#include <ATen/core/stack.h>

#include <string_view>

namespace portfire::graph {

/// Holds an operator's arguments against what the operator itself takes on trust. Throws c10::Error.
using Guard = void (*)(const torch::jit::Stack& arguments);

/// The guard of "aten::lstm", "input"; null for operators that look themselves.
Guard find_guard(std::string_view name, std::string_view overload);

}  // namespace portfire::graph
