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

/// The same, and makes it ready to run, with the passes that `options.optimization` and `options.precision`
/// ask for.
LoadedEngine load(const Archive& archive, const EngineOptions& options);

/// True where this machine has instructions for it: elsewhere it works, slowly.
bool computes_in_bfloat16(Device device);

/// The steps of every method after the passes that `options.optimization` asks for, as people read them.
std::string plan_text(const Archive& archive, const EngineOptions& options);

}  // namespace portfire::graph
