#pragma once

#include <string>
#include <vector>

#include "archive/archive.h"

namespace portfire::exported {

/// Machine code that AOTInductor made of `forward`, for one kind of machine.
struct CompiledProgram {
  std::string record;        ///< the shared object: "data/aotinductor/model/….so"
  std::string platform;      ///< "linux"
  std::string machine;       ///< "x86_64"
  std::string instructions;  ///< "AVX512 AMX_TILE"
  std::string device;        ///< "cpu"
  std::string torch_version; ///< "2.13.0"; empty where the file does not say
  /// "linux x86_64 AVX2, cpu, torch 2.13.0"
  [[nodiscard]] std::string target() const;
};

/// All that an archive holds, sorted by record. None of it is loaded. Throws kInvalidPackage where the target of one is
/// not told.
std::vector<CompiledProgram> compiled_programs(const Archive& archive);

/// Throws kUntrustedPackage on a shared object that lies anywhere else, by its name or its first bytes.
void refuse_foreign_objects(const Archive& archive);

}  // namespace portfire::exported
