#pragma once

#include "archive/exported_program.h"
#include "archive/json_node.h"

namespace portfire::exported {

inline constexpr std::int64_t kStridedLayout = 7;  // torch/_export/serde/schema.py, Layout

/// The schema's number of a dtype. Throws kUnsupported for one that Portfire does not have.
DType dtype_from(const JsonNode& node);

/// The schema's `Argument` union. Throws kUnsupported on custom objects and complex numbers, and on graphs, which are not its own to read.
Value value_from(const JsonNode& node);

}  // namespace portfire::exported
