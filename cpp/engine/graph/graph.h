#pragma once

#include <string>
#include <vector>

#include "archive/archive.h"
#include "engine/loaded_engine.h"

/// torch.export's uncompiled programs: LibTorch's operators called one after another, in the program's order.
/// LibTorch itself cannot run them from C++ (its `nativert` has headers in public builds and no symbols).
namespace portfire::graph {

/// True for an archive that holds such a program.
bool is_exported(const Archive& archive);

/// Reads the program and holds every operator against the allow-list. Runs nothing.
/// Throws kInvalidPackage, kUntrustedPackage, kUnsupported, kVersionMismatch.
ProgramInfo describe(const Archive& archive, const std::vector<std::string>& allow_ops);

/// The same, and makes it ready to run. Programs run as they are: `options.optimization` is not looked at.
LoadedEngine load(const Archive& archive, const EngineOptions& options);

}  // namespace portfire::graph
