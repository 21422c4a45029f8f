#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
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

/// A regular file of which no more is read than is asked for, into memory of this process's own: what becomes of the file
/// afterwards changes nothing of that. Thread-safe.
class FileInParts {
 public:
  /// Throws as `read_file`.
  static std::shared_ptr<FileInParts> open(const std::string& path, std::size_t max_bytes = std::size_t{1} << 40);
  ~FileInParts();
  FileInParts(const FileInParts&) = delete;
  FileInParts& operator=(const FileInParts&) = delete;

  /// Room for the whole file. It holds the file's bytes where `fill` was asked for them; elsewhere zeros, which take no memory.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {room_, size_}; }
  /// Reads what is not there yet of `size` bytes at `offset`, which lie within. Throws kIo, also where the file is shorter by now.
  void fill(std::size_t offset, std::size_t size);
  /// Reads from the file, and leaves the room as it is. Throws as `fill`.
  void read(std::size_t offset, std::span<std::byte> to) const;

 private:
  FileInParts(std::string path, int fd, std::byte* room, std::size_t size);

  std::string path_;
  int fd_;
  std::byte* room_;
  std::size_t size_;
  std::mutex mutex_;
  std::vector<bool> filled_;  // pieces of the room
};

/// Writes beside, syncs, renames: `path` holds all of it or what it held before. Throws kIo.
void write_file(const std::string& path, std::span<const std::byte> bytes);

}  // namespace portfire
