#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "archive/archive.h"

namespace portfire {

/// One record as the zip's central directory has it.
struct ZipRecord {
  std::string_view name;  ///< into the archive's bytes; with the root folder
  bool stored = true;
  bool has_descriptor = false;  ///< sizes and CRC are repeated after the data
  std::uint32_t crc = 0;
  std::uint64_t packed_bytes = 0;
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;      ///< of the local header
  std::uint64_t data_end = 0;    ///< one past the packed data
};

/// Reads the directory of a zip that leaves two readers nothing to disagree about, in its order: the end
/// record is the file's last 22 bytes, headers and directory say the same, and the records tile the file
/// without gaps or overlaps from its first byte to the directory. See docs/package-format.md. `name` is
/// what errors call the file. Throws kInvalidPackage when damaged, kUntrustedPackage when a limit is
/// passed or something is hidden.
/// `fetch` is asked for bytes (offset, size, both within) before they are looked at: headers, directory and end records.
std::vector<ZipRecord> zip_records(std::span<const std::byte> bytes, const std::string& name,
                                   const ArchiveLimits& limits,
                                   const std::function<void(std::uint64_t, std::uint64_t)>& fetch = {});

}  // namespace portfire
