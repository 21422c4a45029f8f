#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <portfire/manifest.h>

#include "archive/archive.h"

namespace portfire {

/// An opened model file: the archive and, where it has one, the manifest. Immutable.
struct Package {
  Archive archive;
  std::optional<Manifest> manifest;

  /// The bytes of a file under `extra/portfire/`, as named in the manifest. Throws kInvalidPackage.
  [[nodiscard]] std::vector<std::byte> file(std::string_view path) const;
};

/// The file that a model argument stands for: itself, `<name>/<version>/model.pt`, or the highest version
/// in `<name>/`. Throws kNotFound, naming what was looked for.
std::string resolve_package_path(const std::string& path);

/// Opens (after `resolve_package_path`), checks the archive and every record's checksum, refuses code at
/// load, parses the manifest and holds every packaged file against its size and sha256; files that the
/// manifest does not name are refused. Throws kNotFound, kIo, kInvalidPackage, kVersionMismatch, kUntrustedPackage.
Package open_package(const std::string& path, const ArchiveLimits& limits = {});

}  // namespace portfire
