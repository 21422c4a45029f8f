#include "archive/zip_layout.h"

#include <functional>

#include "core/file.h"
#include "expect_error.h"
#include "raw_zip.h"

namespace portfire {
namespace {

using test::bytes_of;
using test::expect_error;
using test::RawZip;
using test::record;

constexpr auto kDamaged = ErrorCode::kInvalidPackage;
constexpr auto kRefused = ErrorCode::kUntrustedPackage;

RawZip honest() { return {.entries = {record("m/data.pkl", "first"), record("m/data/0", "second")}}; }

void expect_refused(const RawZip& zip, ErrorCode code, const std::string& part, const ArchiveLimits& limits = {}) {
  const auto bytes = zip.bytes();
  expect_error([&] { zip_records(bytes, "m.pt", limits); }, code, part);
}

/// An honest zip with its first record changed.
RawZip with(const std::function<void(test::RawEntry&)>& change) {
  RawZip zip = honest();
  change(zip.entries.front());
  return zip;
}

TEST(ZipLayout, ReadsWhatTorchWrites) {
  const auto bytes = read_file(PORTFIRE_TEST_DATA "/packages/linear.pt");
  const auto records = zip_records(bytes, "linear.pt", {});
  ASSERT_EQ(records.size(), 9u);
  EXPECT_EQ(records[0].name, "linear/data/0");
  EXPECT_TRUE(records[0].stored);
  EXPECT_TRUE(records[0].has_descriptor);
  EXPECT_EQ(records[0].bytes, 8u);
}

TEST(ZipLayout, ReadsZipsOfEachHonestForm) {
  for (const bool zip64 : {false, true}) {
    for (const bool descriptor : {false, true}) {
      RawZip zip = honest();
      zip.zip64_end = zip64;
      zip.entries[0].zip64 = zip64;
      zip.entries[0].descriptor = descriptor;
      zip.entries[1].deflate = true;
      const auto bytes = zip.bytes();
      const auto records = zip_records(bytes, "m.pt", {});
      ASSERT_EQ(records.size(), 2u);
      EXPECT_EQ(records[0].bytes, 5u);
      EXPECT_EQ(records[0].packed_bytes, 5u);
      EXPECT_FALSE(records[1].stored);
      EXPECT_EQ(records[1].bytes, 6u);
    }
  }
}

TEST(ZipLayout, RefusesATruncatedFileAtEveryLength) {
  const auto bytes = read_file(PORTFIRE_TEST_DATA "/packages/linear.pt");
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_THROW(zip_records(std::span(bytes).first(length), "linear.pt", {}), Error) << length;
  }
}

TEST(ZipLayout, RefusesBytesAroundTheArchive) {
  RawZip zip = honest();
  zip.after = "x";
  expect_refused(zip, kDamaged, "last 22 bytes");
  zip = honest();
  zip.comment = "hello";
  expect_refused(zip, kDamaged, "last 22 bytes");
  zip = honest();
  zip.before = "#!/bin/sh\n";
  expect_refused(zip, kRefused, "bytes before the first record");
  zip = honest();
  zip.before_end = "x";
  expect_refused(zip, kDamaged, "directory");
}

TEST(ZipLayout, RefusesACommentThatHoldsAnotherEndRecord) {
  // The last 22 bytes look like an end record; the one before them claims them as its comment.
  const auto inner = honest().bytes();
  RawZip zip = honest();
  zip.comment = test::text_of(inner);
  expect_refused(zip, kDamaged, "directory does not lie before its end record");
}

TEST(ZipLayout, RefusesAnEndRecordInTheMiddleOfARecord) {
  const auto inner = honest().bytes();
  const auto zip = with([&](auto& entry) { entry.data = test::text_of(inner); });
  const auto bytes = zip.bytes();
  EXPECT_EQ(zip_records(bytes, "m.pt", {})[0].bytes, inner.size());  // data may hold anything
}

TEST(ZipLayout, RefusesTooManyEntriesBeforeItReadsThem) {
  RawZip zip = honest();
  zip.zip64_end = true;
  zip.count = 0xffff;
  zip.count64 = std::uint64_t{1} << 60;
  expect_refused(zip, kRefused, "1152921504606846976 entries; at most 200000");
  expect_refused(honest(), kRefused, "2 entries; at most 1", {.max_entries = 1});
  zip.count64 = 100'000;
  expect_refused(zip, kDamaged, "directory");
}

TEST(ZipLayout, RefusesEndRecordsThatDisagree) {
  RawZip zip = honest();
  zip.zip64_end = true;
  zip.count = 1;
  expect_refused(zip, kDamaged, "two end records differ");
  zip = honest();
  zip.zip64_end = true;
  zip.zip64_at = 0;
  expect_refused(zip, kDamaged, "locator");
  zip = honest();
  zip.count = 0xffff;
  expect_refused(zip, kDamaged, "zip64 end record is missing");
  zip = honest();
  zip.count = 1;
  expect_refused(zip, kDamaged, "longer than its records");
}

TEST(ZipLayout, RefusesLongNames) {
  expect_refused(with([](auto& entry) { entry.name = "m/" + std::string(1023, 'a'); }), kRefused, "a name of 1025 bytes");
}

TEST(ZipLayout, RefusesEncryption) {
  for (const unsigned bit : {0u, 6u, 13u}) {
    expect_refused(with([&](auto& entry) { entry.flags = static_cast<std::uint16_t>(1u << bit); }), kRefused, "encrypted");
  }
  expect_refused(with([](auto& entry) { entry.flags = 1 << 5; }), kRefused, "zip flags 32");
}

TEST(ZipLayout, RefusesOtherCompression) {
  expect_refused(with([](auto& entry) { entry.method = 12; }), kRefused, "method 12");
}

TEST(ZipLayout, RefusesLinksFoldersAndDevices) {
  for (const std::uint32_t mode : {0120777u, 0040755u, 0020666u}) {
    expect_refused(with([&](auto& entry) { entry.attributes = mode << 16; }), kRefused, "a link");
  }
  const auto regular = with([](auto& entry) { entry.attributes = 0100644u << 16; }).bytes();
  EXPECT_EQ(zip_records(regular, "m.pt", {}).size(), 2u);
}

TEST(ZipLayout, RefusesComments) {
  expect_refused(with([](auto& entry) { entry.comment = "x"; }), kRefused, "has a comment");
}

TEST(ZipLayout, RefusesHeadersThatDisagree) {
  const std::string part = "described twice, and differently";
  expect_refused(with([](auto& entry) { entry.local_name = "m/else.pkl"; }), kRefused, part);
  expect_refused(with([](auto& entry) { entry.local_name = "m/DATA.PKL"; }), kRefused, part);
  const auto bytes = honest().bytes();
  for (const std::size_t at : {6u, 8u, 14u, 18u, 22u}) {  // flags, method, CRC, sizes
    auto changed = bytes;
    changed[at] ^= std::byte{8};
    expect_error([&] { zip_records(changed, "m.pt", {}); }, kRefused, part);
  }
}

TEST(ZipLayout, RefusesAStoredRecordOfTwoSizes) {
  expect_refused(with([](auto& entry) { entry.bytes = 100; }), kRefused, "its two sizes differ");
}

TEST(ZipLayout, RefusesHiddenAndOverlappingBytes) {
  expect_refused(with([](auto& entry) { entry.hidden = "secret"; }), kRefused, "6 bytes hidden after \"m/data.pkl\"");
  RawZip zip = honest();
  zip.entries[1] = zip.entries[0];
  zip.entries[1].local_offset = 0;
  expect_refused(zip, kRefused, "overlaps another record");
}

TEST(ZipLayout, RefusesAFalseDescriptor) {
  auto bytes = with([](auto& entry) { entry.descriptor = true; }).bytes();
  ASSERT_EQ(zip_records(bytes, "m.pt", {}).size(), 2u);
  const std::size_t descriptor = 30 + 10 + 5;
  for (const std::size_t at : {0u, 4u, 8u, 12u}) {
    auto changed = bytes;
    changed[descriptor + at] ^= std::byte{1};
    expect_error([&] { zip_records(changed, "m.pt", {}); }, kRefused, "hidden after");
  }
}

TEST(ZipLayout, RefusesExtraFieldsThatRename) {
  const std::string unicode_path = test::extra_field(0x7075, std::string("\x01\0\0\0\0", 5) + "m/other.pkl");
  expect_refused(with([&](auto& entry) { entry.central_extra = unicode_path; }), kRefused, "extra field 28789");
  expect_refused(with([&](auto& entry) { entry.local_extra = unicode_path; }), kRefused, "extra field 28789");
  expect_refused(with([](auto& entry) { entry.central_extra = "abc"; }), kDamaged, "extra field");
}

TEST(ZipLayout, RefusesZip64FieldsThatLeaveAChoice) {
  const std::string eight(8, '\0');
  expect_refused(with([&](auto& entry) { entry.central_extra = test::extra_field(1, eight); }), kRefused,
                 "more than is needed");
  expect_refused(with([&](auto& entry) {
                   entry.zip64 = true;
                   entry.central_extra = test::extra_field(1, eight + eight + eight);
                 }),
                 kRefused, "two zip64 fields");
  expect_refused(with([](auto& entry) { entry.packed_bytes = entry.bytes = 0xffffffff; }), kDamaged, "too short");
}

TEST(ZipLayout, RefusesARecordThatReachesIntoTheDirectory) {
  expect_refused(with([](auto& entry) { entry.packed_bytes = entry.bytes = 1 << 20; }), kDamaged, "into the directory");
  expect_refused(with([](auto& entry) { entry.local_offset = 1 << 30; }), kDamaged, "not where the directory says");
  expect_refused(with([](auto& entry) { entry.local_offset = 1; }), kDamaged, "not where the directory says");
}

}  // namespace
}  // namespace portfire
