#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace portfire {

/// All bytes of a regular file. Throws kNotFound, kIo, and kResourceExhausted past `max_bytes`.
std::vector<std::byte> read_file(const std::string& path, std::size_t max_bytes = std::size_t{1} << 40);

/// Bytes with whatever keeps them there.
struct SharedBytes {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
};

/// The same where the kernel has them, read when they are looked at, and shared with every process that maps the file.
/// A new file that is put in its place changes nothing; whoever writes to the file itself changes the bytes, and whoever
/// cuts it short ends the process that looks at what is gone (SIGBUS). What this process writes to the bytes is its own, and
/// never the file's. Throws as `read_file`.
SharedBytes map_file(const std::string& path, std::size_t max_bytes = std::size_t{1} << 40);

/// Writes beside, syncs, renames: `path` holds all of it or what it held before. Throws kIo.
void write_file(const std::string& path, std::span<const std::byte> bytes);

}  // namespace portfire
