#pragma once

#include <ATen/core/ivalue.h>

#include <span>
#include <string_view>

namespace portfire::graph {

/// Python's own arithmetic on sizes: `_operator.mul`, `math.ceil`, `torch.sym_max`. Gives an int, a double or a
/// bool. Throws kInvalidInput where Python would raise (a division by zero) and where 64 bits are too few.
using NumberFunction = c10::IValue (*)(std::span<const c10::IValue> arguments);

/// Null when there is none of that name that takes so many arguments.
NumberFunction find_number_function(std::string_view target, std::size_t arguments);

}  // namespace portfire::graph
