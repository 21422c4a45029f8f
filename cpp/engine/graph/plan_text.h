#pragma once

#include <string>

#include "engine/graph/plan.h"

namespace portfire::graph {

/// The steps, one on a line: "  %4 = portfire::convolution(%1)  # conv2d".
std::string plan_text(const Block& block);

/// A value as it stands there: "float32[1, 3]", "[1, 2]", "None".
std::string value_text(const c10::IValue& value);

}  // namespace portfire::graph
