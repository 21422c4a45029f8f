#pragma once

#include <string>

#include <portfire/manifest.h>

namespace portfire {

/// What holds between a manifest's fields, beyond what each must be by itself: methods fit each other and
/// the task, golden samples are among the files. Throws kInvalidPackage. `name` is what errors call it.
void check_manifest(const Manifest& manifest, const std::string& name);

}  // namespace portfire
