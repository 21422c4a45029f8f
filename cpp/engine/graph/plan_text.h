#pragma once

#include <string>

#include "engine/graph/plan.h"

namespace portfire::graph {

/// The steps, one on a line: "  %4 = portfire::convolution(%1)  # conv2d".
std::string plan_text(const Block& block);

}  // namespace portfire::graph
