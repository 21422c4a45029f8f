#pragma once

#include <string>

#include <portfire/model.h>

#include "archive/archive.h"

namespace portfire {

/// Empty where the machine code in `archive` may be loaded: `options` say so, or one of their keys signed the very
/// bytes that were read, in `<file>.minisig`. Else why not, for an error. Throws kInvalidArgument on a key that is none.
std::string why_not_trusted(const Archive& archive, const LoadOptions& options);

}  // namespace portfire
