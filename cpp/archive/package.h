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

  /// The bytes of a file beside the manifest, as named in it. Throws kInvalidPackage.
  [[nodiscard]] std::vector<std::byte> file(std::string_view path) const;
};

/// The files that a model argument stands for: itself, or `model.pt2` and `model.pt`, in this order, whichever are in
/// `<name>/<version>/` or in the highest version of `<name>/`. At least one. Throws kNotFound, naming what was
/// looked for.
std::vector<std::string> package_files(const std::string& path);

enum class Opening {
  kWhole,    ///< read into memory
  kMapped,   ///< see `map_file`
  kInParts,  ///< read, but for the values of large tensors: see Archive::open_in_parts
};

/// Opens a package file, checks the archive and every record's checksum (of what is left in the file that is for
/// Archive::read and check_left), refuses code at load, parses the manifest and holds every packaged file against its size and sha256; files that the
/// manifest does not name are refused. Throws kNotFound, kIo, kInvalidPackage, kVersionMismatch, kUntrustedPackage.
Package open_package(const std::string& path, Opening opening = Opening::kWhole);

}  // namespace portfire
