#pragma once

#include <string>

namespace portfire::libtorch {

/// True when an operator may run unasked: docs/package-format.md, "Operators".
bool is_allowed(const std::string& op);

}  // namespace portfire::libtorch
