#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/file.h"

namespace portfire {

/// What an archive may ask of the machine before anything in it is believed.
struct ArchiveLimits {
  std::uint64_t max_file_bytes = std::uint64_t{64} << 30;
  std::uint64_t max_entries = 200'000;
  std::uint64_t max_name_bytes = 1024;
  std::uint64_t max_total_bytes = std::uint64_t{64} << 30;  ///< of all entries, unpacked
  std::uint64_t max_ratio = 200;                            ///< unpacked to packed, for one entry
};

/// One record. `name` is relative to the archive's root folder: "data.pkl", "extra/portfire/manifest.json".
struct ArchiveEntry {
  std::string name;
  std::uint64_t bytes = 0;         ///< unpacked
  std::uint64_t packed_bytes = 0;
  bool stored = true;              ///< not compressed
  bool operator==(const ArchiveEntry&) const = default;
};

/// A zip of one root folder, as PyTorch writes it, read into memory or mapped, and checked before use: the
/// number, names, sizes and compression of its entries; no absolute path, no "..", no backslash, no
/// duplicate (also none that differs in case only, because LibTorch finds records without regard to case),
/// no encryption, no symbolic link, no comment or bytes that a second reader could take otherwise.
/// A handle: copies share the bytes. Immutable and thread-safe. It knows nothing of torch.
class Archive {
 public:
  /// Throws kNotFound, kIo, kResourceExhausted past `max_file_bytes`, kInvalidPackage when the file is no
  /// zip or damaged, kUntrustedPackage when it passes another limit or holds what PyTorch never writes.
  static Archive open(const std::string& path, const ArchiveLimits& limits = {});
  /// The same, but the values of large tensors stay in the file until they are asked for, and are not kept.
  static Archive open_in_parts(const std::string& path, const ArchiveLimits& limits = {});
  /// The same without a copy of the file; see `map_file` for what that asks of others.
  static Archive map(const std::string& path, const ArchiveLimits& limits = {});
  /// Takes the bytes; `name` is what errors call them.
  static Archive from_bytes(std::vector<std::byte> bytes, const std::string& name, const ArchiveLimits& limits = {});

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// The one top folder's name, without a slash.
  [[nodiscard]] const std::string& root() const noexcept { return root_; }
  /// Sorted by name.
  [[nodiscard]] std::span<const ArchiveEntry> entries() const noexcept;
  /// Null when there is none of that name.
  [[nodiscard]] const ArchiveEntry* find(std::string_view name) const noexcept;
  /// An entry's bytes, unpacked and held against its CRC. Throws kInvalidPackage when damaged or missing.
  [[nodiscard]] std::vector<std::byte> read(std::string_view name) const;
  /// The same to where there is room for exactly as much.
  void read(std::string_view name, std::span<std::byte> to) const;
  [[nodiscard]] bool is_in_parts() const noexcept;
  /// True for an entry that stays in the file until it is read.
  [[nodiscard]] bool is_left(std::string_view name) const noexcept;
  /// Holds an entry against its CRC. Throws as `read`.
  void check(std::string_view name) const;
  /// Holds against their CRC what is left in the file and was never read. Throws as `read`.
  void check_left() const;
  /// An entry's bytes where they lie in the file, unchecked; empty for one that is compressed, left or not there.
  /// They live as long as any copy of this archive.
  [[nodiscard]] std::span<const std::byte> view(std::string_view name) const noexcept;
  [[nodiscard]] std::uint64_t file_bytes() const noexcept;
  /// The whole file, for an engine to read the very bytes that were checked. Throws kInternal where it is open in parts.
  [[nodiscard]] std::span<const std::byte> bytes() const;
  /// Bytes of the file from `position` on, as `bytes` has them; what is left in the file is held against its CRC first.
  /// Gives how many there were. Throws as `read`.
  std::size_t copy(std::uint64_t position, std::span<std::byte> to) const;

 private:
  struct Contents;
  [[nodiscard]] std::size_t place_of(std::string_view name) const;
  void read_left(std::size_t place, std::span<std::byte> to) const;
  [[noreturn]] void fail_damaged(std::string_view name) const;
  static Archive from_shared(SharedBytes bytes, const std::string& name, const ArchiveLimits& limits,
                             std::shared_ptr<FileInParts> file = nullptr);
  Archive(std::string path, std::string root, std::shared_ptr<Contents> contents)
      : path_(std::move(path)), root_(std::move(root)), contents_(std::move(contents)) {}

  std::string path_;
  std::string root_;
  std::shared_ptr<Contents> contents_;
};

/// Refuses what could run while LibTorch reads the archive, or make it read outside of its records:
/// `__setstate__` or `__getstate__` in a code record; pickles that refer to classes bound from C++ or claim
/// more elements than a record holds (see `scan_pickle`); the format of PyTorch 1.0, whose code may lie
/// anywhere; and, in a `.pt2`, any `.pkl` record. Throws kUntrustedPackage with the record and line, and
/// kInvalidPackage when a record that must be read is damaged.
void refuse_code_at_load(const Archive& archive);

}  // namespace portfire
