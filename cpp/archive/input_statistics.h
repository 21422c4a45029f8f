#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <portfire/manifest.h>

#include "archive/package.h"
#include "core/input_statistics.h"

namespace portfire {

/// `name` is what errors call it. Throws kInvalidPackage, also where it does not fit the manifest.
InputStatistics parse_input_statistics(std::string_view json, const std::string& name, const Manifest& manifest);

/// Nothing where the package has none. Throws kInvalidPackage.
std::optional<InputStatistics> read_input_statistics(const Package& package);

}  // namespace portfire
