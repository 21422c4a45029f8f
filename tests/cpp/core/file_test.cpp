#include "core/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include <portfire/error.h>
#include <portfire/input.h>

namespace portfire {
namespace {

namespace fs = std::filesystem;

class File : public ::testing::Test {
 protected:
  File() : folder_(fs::temp_directory_path() / ("portfire-file-test-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~File() override { fs::remove_all(folder_); }
  std::string path(const char* name) const { return (folder_ / name).string(); }
  fs::path folder_;
};

ErrorCode code_of(const std::string& path, std::size_t limit = 1000) {
  try {
    (void)read_file(path, limit);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

TEST_F(File, ReadsWhatWasWritten) {
  const std::string text("a\0b", 3);
  write_file(path("x"), std::as_bytes(std::span(text)));
  const auto bytes = read_file(path("x"));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), text);
  EXPECT_EQ(Input::file(path("x")).read(), bytes);
}

TEST_F(File, MapsWhatWasWritten) {
  const std::string text = "a longer text";
  write_file(path("x"), std::as_bytes(std::span(text)));
  const SharedBytes mapped = map_file(path("x"));
  const auto said = [&] { return std::string(reinterpret_cast<const char*>(mapped.bytes.data()), mapped.bytes.size()); };
  EXPECT_EQ(said(), text);
  const std::string other = "new";
  write_file(path("x"), std::as_bytes(std::span(other)));  // beside, and renamed: the old one lives on
  EXPECT_EQ(said(), text);
  std::ofstream(path("empty")).flush();
  EXPECT_TRUE(map_file(path("empty")).bytes.empty());
  EXPECT_THROW((void)map_file(path("x"), 2), Error);
  EXPECT_THROW((void)map_file(path("none")), Error);
  EXPECT_THROW((void)map_file(folder_.string()), Error);
}

TEST_F(File, WritingReplacesAndLeavesNothingBeside) {
  const std::string text = "new";
  std::ofstream(path("x")) << "a longer old text";
  write_file(path("x"), std::as_bytes(std::span(text)));
  EXPECT_EQ(fs::file_size(path("x")), 3u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

TEST_F(File, FailedWriteLeavesTheOldFileAndNothingBeside) {
  const std::string text = "new";
  fs::create_directory(path("folder"));
  std::ofstream(path("folder/inside")) << "kept";
  EXPECT_THROW(write_file(path("folder"), std::as_bytes(std::span(text))), Error);
  EXPECT_TRUE(fs::exists(path("folder/inside")));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
  EXPECT_THROW(write_file(path("missing/x"), std::as_bytes(std::span(text))), Error);
}

TEST_F(File, AFullDiskIsAnError) {
  const std::string text(100, 'x');
  EXPECT_THROW(write_file("/dev/full/x", std::as_bytes(std::span(text))), Error);
}

TEST_F(File, RefusesWhatIsNoRegularFile) {
  EXPECT_EQ(code_of(path("missing")), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(folder_.string()), ErrorCode::kIo);
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(code_of(path("fifo")), ErrorCode::kIo);  // and does not wait for a writer
  EXPECT_EQ(code_of("/dev/zero"), ErrorCode::kIo);
}

TEST_F(File, RefusesMoreThanTheLimit) {
  std::ofstream(path("big")) << std::string(1001, 'x');
  EXPECT_EQ(code_of(path("big")), ErrorCode::kResourceExhausted);
}

TEST_F(File, IsReadInPartsWhereItIsAskedFor) {
  std::string text(50'000, ' ');
  for (std::size_t k = 0; k < text.size(); ++k) text[k] = static_cast<char>(1 + k % 100);
  write_file(path("x"), std::as_bytes(std::span(text)));
  const auto file = FileInParts::open(path("x"));
  const auto is_read = [&](std::size_t k) { return std::to_integer<char>(file->bytes()[k]) == text[k]; };
  ASSERT_EQ(file->bytes().size(), text.size());
  EXPECT_FALSE(is_read(0));
  file->fill(20'000, 10);
  EXPECT_TRUE(is_read(20'000) && is_read(20'009));
  EXPECT_FALSE(is_read(0) || is_read(30'000));
  std::string part(300, ' ');
  file->read(29'900, std::as_writable_bytes(std::span(part)));
  EXPECT_EQ(part, text.substr(29'900, 300));
  EXPECT_FALSE(is_read(30'000));
  file->fill(0, text.size());
  for (std::size_t k = 0; k < text.size(); ++k) ASSERT_TRUE(is_read(k)) << k;
}

TEST_F(File, InPartsKeepsWhatWasRead) {
  const std::string text(50'000, 'a');
  write_file(path("x"), std::as_bytes(std::span(text)));
  const auto file = FileInParts::open(path("x"));
  file->fill(0, 100);
  fs::resize_file(path("x"), 10);
  file->fill(50, 10);  // is there already
  EXPECT_EQ(std::to_integer<char>(file->bytes()[99]), 'a');
  EXPECT_THROW(file->fill(40'000, 1), Error);
}

TEST_F(File, InPartsIsRefusedAsWhole) {
  EXPECT_THROW(FileInParts::open(path("none")), Error);
  EXPECT_THROW(FileInParts::open(folder_.string()), Error);
  const std::string text(11, 'a');
  write_file(path("x"), std::as_bytes(std::span(text)));
  EXPECT_THROW(FileInParts::open(path("x"), 10), Error);
  write_file(path("empty"), {});
  EXPECT_TRUE(FileInParts::open(path("empty"))->bytes().empty());
}

}  // namespace
}  // namespace portfire
