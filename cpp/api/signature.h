#pragma once

#include <string>
#include <vector>

#include <portfire/model.h>

namespace portfire {

/// What `forward` takes, in order: the manifest's names where there is one, else the program's own.
std::vector<std::string> forward_inputs(const ModelInfo& info);

}  // namespace portfire
