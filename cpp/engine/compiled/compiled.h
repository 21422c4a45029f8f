#pragma once

#include <optional>
#include <string>

#include <portfire/manifest.h>

#include "archive/archive.h"
#include "engine/loaded_engine.h"

/// AOTInductor's machine code for `forward`, behind checks of its own: compiled code trusts its caller. The other
/// methods run in the engine graph, on the programs in the same archive.
namespace portfire::compiled {

/// True for an archive that holds machine code, for whatever machine.
bool is_compiled(const Archive& archive);

/// For which machines: "linux x86_64 AVX2, cpu, torch 2.13.0; …". Throws kInvalidPackage.
std::string targets(const Archive& archive);

/// Loads the code that was made for this machine into this process, which then can do what the process can: only for
/// files that are trusted. Throws kUnsupported, saying what differs, where none was made for it, or where the
/// manifest leaves an integer input without a range.
LoadedEngine load(const Archive& archive, const std::optional<Manifest>& manifest, const EngineOptions& options);

}  // namespace portfire::compiled
