#pragma once

#include <string>
#include <vector>

#include "archive/archive.h"
#include "engine/loaded_engine.h"

namespace portfire::torchscript {

/// Reads the program and holds every operator against the allow-list. Runs nothing.
/// Throws kInvalidPackage, kUntrustedPackage.
ProgramInfo describe(const Archive& archive, const std::vector<std::string>& allow_ops);

/// The same, and makes it ready to run. Throws kUnsupported too (a device that is not there).
LoadedEngine load(const Archive& archive, const EngineOptions& options);

bool cuda_available();

}  // namespace portfire::torchscript
