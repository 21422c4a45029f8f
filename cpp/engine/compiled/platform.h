#pragma once

#include <string>

#include <portfire/tensor.h>

#include "archive/compiled_program.h"

namespace portfire::compiled {

/// Empty where this process can run the code on `device`; else what differs, for an error.
std::string what_differs(const exported::CompiledProgram& program, Device device);

}  // namespace portfire::compiled
