#include "engine/compiled/shared_object.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::compiled {
namespace {

#ifndef MFD_EXEC
constexpr unsigned kExecutable = 0x10;  // Linux 6.3
#else
constexpr unsigned kExecutable = MFD_EXEC;
#endif

int memory_file() {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  const int descriptor = memfd_create("portfire", kFlags | kExecutable);
  return descriptor < 0 && errno == EINVAL ? memfd_create("portfire", kFlags) : descriptor;
}

/// The dynamic linker takes a path that it has seen for the library that it has loaded, and some libraries are never
/// unloaded; but descriptors are used again. So no path is spelled twice.
std::string unique_path(int descriptor) {
  static std::atomic<std::uint32_t> count{0};
  std::string path = "/proc/self/fd/";
  for (std::uint32_t left = count++; left > 0; left >>= 1) path += (left & 1) != 0 ? "./" : "//";
  return cat(path, descriptor);
}

/// The dynamic linker maps what the headers name and touches it, be it there or not: a cut file would end the process.
bool is_whole(std::span<const std::byte> bytes) {
  Elf64_Ehdr header;
  if (bytes.size() < sizeof header) return false;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr)) return false;
  const auto fits = [&](std::uint64_t offset, std::uint64_t size) { return offset <= bytes.size() && size <= bytes.size() - offset; };
  if (!fits(header.e_phoff, std::uint64_t{header.e_phnum} * sizeof(Elf64_Phdr))) return false;
  for (std::size_t k = 0; k < header.e_phnum; ++k) {
    Elf64_Phdr segment;
    std::memcpy(&segment, bytes.data() + header.e_phoff + k * sizeof segment, sizeof segment);
    if (!fits(segment.p_offset, segment.p_filesz)) return false;
  }
  return true;
}

int opened(std::span<const std::byte> bytes, const std::string& name) {
  if (!is_whole(bytes)) throw Error(ErrorCode::kInvalidPackage, cat(name, ": its shared object is none, or cut off; write the package again"));
  return memory_file();
}

}  // namespace

SharedObject::SharedObject(std::span<const std::byte> bytes, const std::string& name) : descriptor_(opened(bytes, name)) {
  const auto fail = [&](const char* what) {
    const std::string reason = std::strerror(errno);
    if (descriptor_ >= 0) close(descriptor_);
    throw Error(ErrorCode::kIo, cat(name, ": ", what, ": ", reason));
  };
  if (descriptor_ < 0) fail("memory for its code cannot be had");
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) fail("its code cannot be copied");
    if (written > 0) bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  if (fcntl(descriptor_, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) fail("its code cannot be sealed");
  path_ = unique_path(descriptor_);
}

SharedObject::~SharedObject() { close(descriptor_); }

}  // namespace portfire::compiled
