#include "archive/compiled_program.h"

#include <gtest/gtest.h>

#include "expect_error.h"
#include "raw_zip.h"

namespace portfire::exported {
namespace {

using test::expect_error;
using test::record;

const std::string kFolder = "m/data/aotinductor/model/";
const std::string kTarget =
    R"({"AOTI_PLATFORM": "linux", "AOTI_MACHINE": "x86_64", "AOTI_CPU_ISA": "AVX2", "AOTI_DEVICE_KEY": "cpu", "PORTFIRE_TORCH": "2.13.0"})";

Archive archive_of(std::vector<test::RawEntry> entries) {
  return Archive::from_bytes(test::RawZip{.entries = std::move(entries)}.bytes(), "m.pt2");
}

TEST(CompiledProgram, IsASharedObjectAndItsTarget) {
  const auto found = compiled_programs(archive_of({record(kFolder + "a.wrapper.so", "code"), record(kFolder + "a.wrapper_metadata.json", kTarget)}));
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].record, "data/aotinductor/model/a.wrapper.so");
  EXPECT_EQ(found[0].target(), "linux x86_64 AVX2, cpu, torch 2.13.0");
  EXPECT_TRUE(compiled_programs(archive_of({record("m/data/weights/weight_0", "code")})).empty());
}

TEST(CompiledProgram, SaysWhatItIsFor) {
  const auto expect_refused = [](std::vector<test::RawEntry> entries, const std::string& part) {
    expect_error([&] { (void)compiled_programs(archive_of(std::move(entries))); }, ErrorCode::kInvalidPackage, part);
  };
  expect_refused({record(kFolder + "a.so", "code")}, "\"data/aotinductor/model/a.so\" does not say what it was compiled for");
  expect_refused({record(kFolder + "a.so", "code"), record(kFolder + "a_metadata.json", "{}")}, "a_metadata.json");
  expect_refused({record(kFolder + "a.so", "code"), record(kFolder + "a_metadata.json", "rubbish")}, "a_metadata.json");
}

TEST(CompiledProgram, LiesNowhereElse) {
  const auto expect_refused = [](const std::string& name, const std::string& data) {
    expect_error([&] { refuse_foreign_objects(archive_of({record(name, data)})); }, ErrorCode::kUntrustedPackage, "a shared object where none belongs");
  };
  expect_refused("m/data/helper.so", "code");
  expect_refused("m/data/helper.so.1", "code");
  expect_refused("m/data/weights/weight_0", "\x7f" "ELF" "code");
  expect_refused("m/data/aotinductor/model/weight", "\x7f" "ELF" "code");
  refuse_foreign_objects(archive_of({record(kFolder + "a.so", "\x7f" "ELF"), record("m/data/weights/weight_0", "ELF")}));
}

}  // namespace
}  // namespace portfire::exported
