#include "archive/archive.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "core/file.h"
#include "expect_error.h"
#include "raw_zip.h"

namespace portfire {
namespace {

using test::bytes_of;
using test::expect_error;
using test::RawZip;
using test::record;
using test::text_of;

constexpr auto kDamaged = ErrorCode::kInvalidPackage;
constexpr auto kRefused = ErrorCode::kUntrustedPackage;

Archive archive_of(const RawZip& zip, const ArchiveLimits& limits = {}) {
  return Archive::from_bytes(zip.bytes(), "m.pt", limits);
}

void expect_refused(const RawZip& zip, const std::string& part, const ArchiveLimits& limits = {}) {
  expect_error([&] { archive_of(zip, limits); }, kRefused, part);
}

TEST(Archive, ReadsWhatTorchWrites) {
  const auto archive = Archive::open(PORTFIRE_TEST_DATA "/packages/linear.pt");
  EXPECT_EQ(archive.root(), "linear");
  EXPECT_EQ(archive.path(), PORTFIRE_TEST_DATA "/packages/linear.pt");
  EXPECT_EQ(archive.entries().size(), 9u);
  EXPECT_TRUE(std::is_sorted(archive.entries().begin(), archive.entries().end(),
                             [](const auto& a, const auto& b) { return a.name < b.name; }));
  EXPECT_EQ(text_of(archive.read("byteorder")), "little");
  const ArchiveEntry* code = archive.find("code/__torch__/torch/nn/modules/linear.py");
  ASSERT_NE(code, nullptr);
  EXPECT_FALSE(code->stored);
  EXPECT_THAT(text_of(archive.read(code->name)), testing::HasSubstr("def forward"));
  EXPECT_EQ(archive.find("code"), nullptr);
  EXPECT_EQ(archive.find("linear/byteorder"), nullptr);
}

TEST(Archive, GivesTheWholeFileToAnEngine) {
  const std::string path = PORTFIRE_TEST_DATA "/packages/linear.pt";
  const auto archive = Archive::open(path);
  const auto expected = read_file(path);
  EXPECT_TRUE(std::equal(archive.bytes().begin(), archive.bytes().end(), expected.begin(), expected.end()));
}

TEST(Archive, MappedIsTheSame) {
  const std::string path = PORTFIRE_TEST_DATA "/packages/linear.pt";
  const auto read = Archive::open(path);
  const auto mapped = Archive::map(path);
  EXPECT_TRUE(std::ranges::equal(mapped.entries(), read.entries()));
  EXPECT_TRUE(std::ranges::equal(mapped.bytes(), read.bytes()));
  for (const ArchiveEntry& entry : read.entries()) EXPECT_EQ(mapped.read(entry.name), read.read(entry.name)) << entry.name;
  for (const ArchiveEntry& entry : read.entries()) mapped.check(entry.name);
  expect_error([] { Archive::map(PORTFIRE_TEST_DATA "/packages/none.pt"); }, ErrorCode::kNotFound, "no such file");
}

/// A file of `bytes`, which goes with the test.
class InParts : public testing::Test {
 protected:
  ~InParts() override { std::remove(path_.c_str()); }
  Archive open(const std::vector<std::byte>& bytes) {
    write_file(path_, bytes);
    return Archive::open_in_parts(path_);
  }
  const std::string path_ = testing::TempDir() + "portfire-in-parts-" + std::to_string(::getpid());
  const std::string large_ = [] {
    std::string text(200'000, 'w');
    for (std::size_t k = 0; k < text.size(); ++k) text[k] = static_cast<char>(k * 7 + k / 251);
    return text;
  }();
  const RawZip zip_{.entries = {record("m/data.pkl", "x"), record("m/data/0", large_), record("m/data/1", "small"), record("m/code/big.py", large_),
                                record("m/data/table.json", large_), record("m/data/aotinductor/model/x", large_), record("m/constants/0", large_ + "2"),
                                {.name = "m/data/packed", .data = large_, .deflate = true}, record("m/last", "end")}};
};

TEST_F(InParts, IsTheSameAsReadWhole) {
  const Archive parts = open(zip_.bytes());
  const Archive whole = Archive::open(path_);
  EXPECT_TRUE(std::ranges::equal(parts.entries(), whole.entries()));
  EXPECT_EQ(parts.file_bytes(), whole.bytes().size());
  for (const ArchiveEntry& entry : whole.entries()) {
    EXPECT_EQ(parts.read(entry.name), whole.read(entry.name)) << entry.name;
    parts.check(entry.name);
    const bool left = entry.name == "data/0" || entry.name == "constants/0";
    EXPECT_EQ(parts.is_left(entry.name), left) << entry.name;
    EXPECT_FALSE(whole.is_left(entry.name));
    EXPECT_TRUE(std::ranges::equal(parts.view(entry.name), left ? std::span<const std::byte>() : whole.view(entry.name))) << entry.name;
  }
  expect_error([&] { (void)parts.bytes(); }, ErrorCode::kInternal, "open in parts");
}

TEST_F(InParts, CopiesAnyPieceOfTheFile) {
  const Archive parts = open(zip_.bytes());
  const Archive whole = Archive::open(path_);
  for (const std::size_t piece : {std::size_t{7'001}, std::size_t{64} << 10, std::size_t{1} << 20}) {
    std::vector<std::byte> copy;
    std::vector<std::byte> part(piece);
    while (const std::size_t got = parts.copy(copy.size(), part)) copy.insert(copy.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(got));
    EXPECT_TRUE(std::ranges::equal(copy, whole.bytes())) << piece;
  }
}

TEST_F(InParts, HoldsWhatIsLeftAgainstItsSumWhenItIsRead) {
  std::vector<std::byte> bytes = zip_.bytes();
  const std::string text = text_of(bytes);
  bytes[text.find("m/data/0") + 100'000] ^= std::byte{1};
  const Archive archive = open(bytes);
  const auto damaged = [](const auto& call) { expect_error(call, kDamaged, "the record \"data/0\" does not unpack to its size and CRC"); };
  damaged([&] { (void)archive.read("data/0"); });
  damaged([&] { archive.check("data/0"); });
  damaged([&] { archive.check_left(); });
  std::vector<std::byte> all(bytes.size());
  damaged([&] { (void)archive.copy(0, all); });
  EXPECT_EQ(archive.read("constants/0").size(), large_.size() + 1);
}

TEST_F(InParts, SaysThatTheFileBecameShorterOrAnother) {
  const Archive archive = open(zip_.bytes());
  std::vector<std::byte> other = zip_.bytes();
  for (std::byte& byte : other) byte ^= std::byte{1};
  {
    std::ofstream file(path_, std::ios::binary | std::ios::in);  // in place, as no careful program does
    file.write(reinterpret_cast<const char*>(other.data()), static_cast<std::streamsize>(other.size()));
  }
  expect_error([&] { (void)archive.read("data/0"); }, kDamaged, "data/0");
  EXPECT_EQ(text_of(archive.read("last")), "end");
  std::filesystem::resize_file(path_, 1000);
  expect_error([&] { (void)archive.read("data/0"); }, ErrorCode::kIo, "it was cut short while it was read");
}

TEST_F(InParts, RefusesWhatReadingWholeRefuses) {
  RawZip hidden = zip_;
  hidden.entries[1].hidden = "x";
  expect_error([&] { (void)open(hidden.bytes()); }, kRefused, "hidden after");
  expect_error([&] { (void)open({}); }, kDamaged, "empty file");
  expect_error([&] { (void)open(bytes_of("Once upon a time")); }, kDamaged, "not a package");
  expect_error([&] { (void)Archive::open_in_parts(path_ + "none"); }, ErrorCode::kNotFound, "no such file");
}

TEST(Archive, SaysWhatAFileIsThatIsNoZip) {
  expect_error([] { Archive::from_bytes({}, "x.pt"); }, kDamaged, "x.pt: not a package (empty file); a TorchScript file is a zip");
  expect_error([] { Archive::from_bytes(bytes_of("Once upon a time"), "x.pt"); }, kDamaged,
               "x.pt: not a package (starts with \"Once upo\"); a TorchScript file is a zip that torch.jit.save or "
               "portfire.package writes");
  expect_error([] { Archive::open(PORTFIRE_TEST_DATA "/packages/none.pt"); }, ErrorCode::kNotFound, "no such file");
}

TEST(Archive, RefusesAFilePastTheLimitBeforeReadingIt) {
  expect_error([] { Archive::open(PORTFIRE_TEST_DATA "/packages/linear.pt", {.max_file_bytes = 100}); },
               ErrorCode::kResourceExhausted, "at most 100 B");
}

TEST(Archive, RefusesNamesThatLeaveTheFolder) {
  for (const char* name : {"m/../../etc/passwd", "/m/a", "m/", "m//a", "m/a\\b", "m/\x1b[2J", "m/\xff", "..", "../a"}) {
    expect_refused({.entries = {record(name, "x")}}, "refused");
  }
  RawZip nul{.entries = {record(std::string("m/a\0.pkl", 8), "x")}};
  expect_refused(nul, "control character");
}

TEST(Archive, RefusesASecondFolder) {
  expect_refused({.entries = {record("m/data.pkl", "x"), record("n/a", "x")}}, "\"n/a\" lies outside");
  expect_refused({.entries = {record("m/data.pkl", "x"), record("m2/a", "x")}}, "\"m2/a\" lies outside");
  expect_refused({.entries = {record("M/data.pkl", "x"), record("m/b", "x")}}, "\"m/b\" lies outside");
  expect_refused({.entries = {record("a", "x"), record("a/data.pkl", "x")}}, "\"a\" lies outside");
}

TEST(Archive, AnOrdinaryZipIsNoModelRatherThanADeception) {
  const RawZip zip{.entries = {record("letter.txt", "x"), record("photos/cat.jpg", "y")}};
  expect_error([&] { (void)archive_of(zip); }, ErrorCode::kInvalidPackage, "a zip, but not a model");
}

TEST(Archive, RefusesDuplicates) {
  expect_refused({.entries = {record("m/a", "x"), record("m/a", "y")}}, "is there twice");
}

TEST(Archive, RefusesNamesThatDifferInCaseOnlyBecauseLibTorchFindsEither) {
  expect_refused({.entries = {record("m/data.pkl", "x"), record("m/DATA.pkl", "y")}}, "is there twice");
}

TEST(Archive, RefusesAZipBombBeforeUnpacking) {
  RawZip zip{.entries = {record("m/a", std::string(10 << 20, '\0'))}};
  zip.entries[0].deflate = true;
  expect_refused(zip, "at most 200 times as much");
  zip.entries[0].bytes = 100;  // a liar's bomb is small until it is read
  const auto archive = archive_of(zip);
  expect_error([&] { (void)archive.read("a"); }, kDamaged, "damaged");
}

TEST(Archive, RefusesATotalPastTheLimit) {
  const RawZip zip{.entries = {record("m/a", "12345"), record("m/b", "12345")}};
  EXPECT_EQ(archive_of(zip, {.max_total_bytes = 10}).entries().size(), 2u);
  expect_refused(zip, "more than 9 B when unpacked", {.max_total_bytes = 9});
}

TEST(Archive, RefusesAnEmptyZip) {
  expect_error([] { archive_of({}); }, kDamaged, "not a package (starts with \"PK\\x05\\x06");
}

TEST(Archive, ReadHoldsBytesAgainstTheirCrc) {
  for (const bool deflate : {false, true}) {
    RawZip zip{.entries = {record("m/a", "some text, some text, some text")}};
    zip.entries[0].deflate = deflate;
    EXPECT_EQ(text_of(archive_of(zip).read("a")), zip.entries[0].data);
    zip.entries[0].crc = 1;
    const auto archive = archive_of(zip);
    expect_error([&] { (void)archive.read("a"); }, kDamaged, "damaged package: the record \"a\"");
  }
  RawZip empty{.entries = {record("m/a", "")}};
  EXPECT_TRUE(archive_of(empty).read("a").empty());
}

TEST(Archive, ReadRefusesADeflateStreamOfAnotherLength) {
  for (const std::uint64_t claimed : {10u, 12u, 400u}) {
    RawZip zip{.entries = {record("m/a", "hello world")}};
    zip.entries[0].deflate = true;
    zip.entries[0].bytes = claimed;
    const auto archive = archive_of(zip);
    expect_error([&] { (void)archive.read("a"); }, kDamaged, "does not unpack");
  }
}

TEST(Archive, ReadOfAMissingRecordNamesIt) {
  const auto archive = archive_of({.entries = {record("m/a", "x")}});
  expect_error([&] { (void)archive.read("b"); }, kDamaged, "m.pt: no record \"b\"");
}

TEST(Archive, IsReadFromManyThreads) {
  RawZip zip;
  for (int k = 0; k < 20; ++k) {
    zip.entries.push_back(record("m/" + std::to_string(k), std::string(1000 + static_cast<std::size_t>(k), 'a')));
    zip.entries.back().deflate = k % 2 == 0;
  }
  const Archive archive = archive_of(zip);
  std::vector<std::thread> threads;
  std::vector<int> good(4);
  for (std::size_t t = 0; t < good.size(); ++t) {
    threads.emplace_back([&, t, copy = archive] {
      for (int round = 0; round < 50; ++round) {
        for (const ArchiveEntry& entry : copy.entries()) good[t] += copy.read(entry.name).size() == entry.bytes ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, std::vector<int>(4, 1000));
}

}  // namespace
}  // namespace portfire
