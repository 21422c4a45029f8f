#pragma once

#include <set>
#include <string>

#include "archive/exported_program.h"

namespace portfire::graph {

/// The weights, by the names that the nodes use, that some node of the program's own graph writes to: directly, or
/// through views of them as the operators' schemas tell. (`run_block` refuses whatever a schema hides.)
std::set<std::string> written_weights(const exported::Program& program);

}  // namespace portfire::graph
