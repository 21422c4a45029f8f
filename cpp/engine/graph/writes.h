#pragma once

#include <ATen/core/function_schema.h>

#include <set>
#include <string>

#include "archive/exported_program.h"

namespace portfire::graph {

/// True where the node's operator writes to this argument: as its schema says, or as norms do with their running
/// statistics, in training and without saying it.
bool writes_to(const exported::Node& node, const c10::Argument& argument);

/// The weights, by the names that the nodes use, that some node of the program's own graph writes to: directly, or
/// through views of them as the operators' schemas tell. (`run_block` refuses whatever a schema hides.)
std::set<std::string> written_weights(const exported::Program& program);

}  // namespace portfire::graph
