#pragma once

#include <string>

#include "archive/exported_program.h"

namespace portfire::compiled {

/// Why compiled code for this program could change what is not its own, or end the process on inputs that every check
/// lets pass: it writes to its inputs or weights, branches or loops, or computes the indices that it looks up by. Empty
/// where it does none of that: then all indices are constants, sizes, or integers whose range the manifest gives.
std::string why_unsound(const exported::Program& program);

}  // namespace portfire::compiled
