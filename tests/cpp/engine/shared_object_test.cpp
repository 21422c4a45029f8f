#include "engine/compiled/shared_object.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "../archive/expect_error.h"

namespace portfire::compiled {
namespace {

/// A whole ELF file, if an empty one.
const std::string kText = [] {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phoff = sizeof header;
  header.e_phnum = 1;
  Elf64_Phdr segment{};
  segment.p_filesz = sizeof header + sizeof segment;
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + std::string(reinterpret_cast<const char*>(&segment), sizeof segment);
}();

std::span<const std::byte> bytes() { return std::as_bytes(std::span(kText)); }

TEST(SharedObject, IsWholeOrRefused) {
  EXPECT_NO_THROW(SharedObject(bytes(), "m.pt2"));
  for (std::size_t size = 0; size < kText.size(); ++size) {
    test::expect_error([&] { SharedObject(bytes().first(size), "m.pt2"); }, ErrorCode::kInvalidPackage, "m.pt2: its shared object is none, or cut off");
  }
}

TEST(SharedObject, HoldsTheBytes) {
  const SharedObject object(bytes(), "m.pt2");
  std::ifstream file(object.path(), std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), kText);
}

TEST(SharedObject, IsInNoFolderAndClosedToWriting) {
  const SharedObject object(bytes(), "m.pt2");
  struct stat status {};
  ASSERT_EQ(stat(object.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_nlink, 0);
  const int descriptor = open(object.path().c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  EXPECT_EQ(write(descriptor, "x", 1), -1);
  EXPECT_EQ(errno, EPERM);
  close(descriptor);
}

TEST(SharedObject, NeverHasThePathOfAnother) {
  std::set<std::string> paths;
  for (int k = 0; k < 100; ++k) EXPECT_TRUE(paths.insert(SharedObject(bytes(), "m.pt2").path()).second);  // the descriptor is the same
}

}  // namespace
}  // namespace portfire::compiled
