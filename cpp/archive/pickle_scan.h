#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "archive/archive.h"

namespace portfire {

/// Holds a pickle against what TorchScript's own writer produces, without building anything of it.
/// Refused are references other than to the archive's own classes and TorchScript's few helpers (so
/// classes bound from C++, whose state is theirs to check, and sparse tensors, which are rebuilt without a
/// check), and a storage with more elements than its record has bytes for: LibTorch 2.13 believes the
/// pickle and reads past the record. `record` is the pickle's name ("data.pkl"); its storages lie in the
/// folder of that name without the suffix. Throws kUntrustedPackage, kInvalidPackage.
void scan_pickle(const Archive& archive, const std::string& record, std::span<const std::byte> bytes);

}  // namespace portfire
