#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace portfire::compiled {

/// A shared object in memory of this process's own, never in a file: nobody else can change it, and nothing is left
/// behind. Sealed against writing.
class SharedObject {
 public:
  /// `name` is what errors call it. Throws kInvalidPackage where they are no whole ELF file, kIo.
  SharedObject(std::span<const std::byte> bytes, const std::string& name);
  ~SharedObject();
  SharedObject(const SharedObject&) = delete;
  SharedObject& operator=(const SharedObject&) = delete;

  /// For dlopen, as long as this lives.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  int descriptor_ = -1;
  std::string path_;
};

}  // namespace portfire::compiled
