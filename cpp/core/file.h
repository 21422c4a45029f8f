#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace portfire {

/// All bytes of a regular file. Throws kNotFound, kIo, and kResourceExhausted past `max_bytes`.
std::vector<std::byte> read_file(const std::string& path, std::size_t max_bytes = std::size_t{1} << 40);

/// Writes beside, syncs, renames: `path` holds all of it or what it held before. Throws kIo.
void write_file(const std::string& path, std::span<const std::byte> bytes);

}  // namespace portfire
