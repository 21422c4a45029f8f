#include "archive/archive.h"

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
