#pragma once

#include <string>
#include <string_view>

#include <portfire/manifest.h>

namespace portfire {

/// docs/manifest.schema.json, told as a type. Every field is checked: a missing, unknown or contradictory
/// one throws kInvalidPackage with its path ("methods.forward.inputs[0].dtype"), a newer `format_version`
/// throws kVersionMismatch whatever else it holds. `name` is what errors call the document.
Manifest parse_manifest(std::string_view json, const std::string& name);

/// The inverse: `parse_manifest(to_json(m)) == m` for every `m` that `parse_manifest` gave. One line, keys
/// sorted; `tolerances` and `files` are sorted by their keys.
std::string to_json(const Manifest& manifest);

}  // namespace portfire
