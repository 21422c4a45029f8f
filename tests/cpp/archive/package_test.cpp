#include "archive/package.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "archive/sha256.h"
#include "core/file.h"
#include "expect_error.h"
#include "raw_zip.h"

namespace portfire {
namespace {

namespace fs = std::filesystem;
using test::bytes_of;
using test::expect_error;
using test::RawZip;
using test::record;
using Json = nlohmann::json;

constexpr auto kInvalid = ErrorCode::kInvalidPackage;
const std::string kLinear = PORTFIRE_TEST_DATA "/packages/linear.pt";

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "portfire-package-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// Writes a file below the test's own folder and gives its path.
  std::string put(const std::string& name, const std::vector<std::byte>& bytes = {}) const {
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    write_file(path.string(), bytes);
    return path.string();
  }
  [[nodiscard]] std::string at(const std::string& name) const { return (folder_ / name).string(); }

  fs::path folder_;
};

using ResolvePackagePath = Folder;
using OpenPackage = Folder;

TEST_F(ResolvePackagePath, GivesAFileItself) {
  const std::string path = put("a.pt");
  EXPECT_EQ(package_files(path), std::vector{path});
}

TEST_F(ResolvePackagePath, FindsTheFileOfAVersion) {
  const std::string path = put("digits/1/model.pt");
  EXPECT_EQ(package_files(at("digits/1")), std::vector{path});
  EXPECT_EQ(package_files(at("digits/1/")), std::vector{path});
}

TEST_F(ResolvePackagePath, FindsTheHighestVersionByNumber) {
  for (const char* name : {"digits/9/model.pt", "digits/10/model.pt", "digits/latest/model.pt", "digits/0011/model.pt"}) put(name);
  EXPECT_EQ(package_files(at("digits")), std::vector{at("digits/10/model.pt")});
}

TEST_F(ResolvePackagePath, SaysWhatWasLookedForAndWhatIsThere) {
  put("digits/notes.txt");
  put("digits/old/model.pt");
  expect_error([&] { (void)package_files(at("digits")); }, ErrorCode::kNotFound,
               "neither model.pt nor a version folder such as " + at("digits/1") + " is in it (it holds \"notes.txt\", \"old\")");
  fs::create_directories(folder_ / "empty");
  expect_error([&] { (void)package_files(at("empty")); }, ErrorCode::kNotFound, "it is empty");
  expect_error([&] { (void)package_files(at("none")); }, ErrorCode::kNotFound, "none: no such file or folder");
  expect_error([&] { (void)package_files(at("digits/notes.txt/x")); }, ErrorCode::kNotFound, "no such file or folder");
}

TEST_F(ResolvePackagePath, DoesNotFallBackToALowerVersion) {
  put("digits/1/model.pt");
  put("digits/2/model.pt.partial");
  expect_error([&] { (void)package_files(at("digits")); }, ErrorCode::kNotFound,
               at("digits/2/model.pt") + ": no such file, and 2 is the highest version");
}

/// The records of a real archive, with `extra` beside them.
RawZip linear_with(const std::vector<test::RawEntry>& extra) {
  const Archive archive = Archive::open(kLinear);
  RawZip zip;
  for (const ArchiveEntry& entry : archive.entries()) {
    zip.entries.push_back(record("m/" + entry.name, test::text_of(archive.read(entry.name))));
  }
  zip.entries.insert(zip.entries.end(), extra.begin(), extra.end());
  return zip;
}

/// A manifest of task tensor that names `files` with their hashes.
Json manifest_of(const std::vector<std::pair<std::string, std::string>>& files) {
  Json json = Json::parse(test::text_of(read_file(PORTFIRE_TEST_DATA "/manifest/valid/tensor.json")));
  for (const auto& [path, data] : files) {
    json["files"][path] = {{"bytes", data.size()}, {"sha256", sha256(bytes_of(data))}};
  }
  return json;
}

test::RawEntry extra(const std::string& name, const std::string& data) { return record("m/extra/portfire/" + name, data); }

TEST_F(OpenPackage, ReadsTorchScriptWithoutAManifest) {
  const Package package = open_package(kLinear);
  EXPECT_FALSE(package.manifest.has_value());
  EXPECT_EQ(package.archive.root(), "linear");
}

TEST_F(OpenPackage, ReadsManifestAndFiles) {
  const Json manifest = manifest_of({{"assets/labels.txt", "one\ntwo\n"}, {"golden/0/input.npy", "123"}});
  put("m/1/model.pt", linear_with({extra("manifest.json", manifest.dump()), extra("assets/labels.txt", "one\ntwo\n"),
                                   extra("golden/0/input.npy", "123")})
                          .bytes());
  const Package package = open_package(package_files(at("m")).front());
  ASSERT_TRUE(package.manifest.has_value());
  EXPECT_EQ(package.manifest->name, "0.linear_v2");
  EXPECT_EQ(test::text_of(package.file("assets/labels.txt")), "one\ntwo\n");
  expect_error([&] { (void)package.file("assets/none.txt"); }, kInvalid, "no record \"extra/portfire/assets/none.txt\"");
}

class BadPackage : public Folder {
 protected:
  void expect_refused(const RawZip& zip, const std::string& part, ErrorCode code = kInvalid) const {
    const std::string path = put("bad.pt", zip.bytes());
    expect_error([&] { open_package(path); }, code, path + ": " + part);
  }
};

TEST_F(BadPackage, SaysThatAZipIsNoModel) {
  expect_refused({.entries = {record("photos/a.png", "x")}}, "a zip, but not a model");
}

TEST_F(BadPackage, SaysThatAStateDictHasNoProgram) {
  expect_refused({.entries = {record("m/data.pkl", "\x80\x02}."), record("m/data/0", "x"), record("m/version", "3\n")}},
                 "holds weights without a program (torch.save wrote it)");
}

TEST_F(BadPackage, RefusesArchivesThatLackARecord) {
  RawZip zip = linear_with({});
  std::erase_if(zip.entries, [](const auto& entry) { return entry.name == "m/constants.pkl"; });
  expect_refused(zip, "damaged package: constants.pkl is missing");
}

TEST_F(BadPackage, RefusesCodeAtLoadBeforeTheManifest) {
  expect_refused(linear_with({record("m/code/evil.py", "def __setstate__"), extra("manifest.json", "nonsense")}),
                 "refused: code/evil.py:1", ErrorCode::kUntrustedPackage);
}

TEST_F(BadPackage, RefusesFilesWithoutAManifest) {
  expect_refused(linear_with({extra("assets/labels.txt", "x")}),
                 "\"extra/portfire/assets/labels.txt\" is there, but extra/portfire/manifest.json is missing");
}

TEST_F(BadPackage, RefusesABadManifestByItsPath) {
  expect_refused(linear_with({extra("manifest.json", "{")}), "manifest: not JSON");
  Json manifest = manifest_of({});
  manifest["methods"]["forward"]["inputs"][0]["dtype"] = "float8";
  expect_refused(linear_with({extra("manifest.json", manifest.dump())}),
                 "manifest: methods.forward.inputs[0].dtype: \"float8\" is not a dtype; one of");
  expect_refused(linear_with({extra("manifest.json", R"({"format_version": 7})")}), "manifest: format_version: 7 is newer",
                 ErrorCode::kVersionMismatch);
}

TEST_F(BadPackage, RefusesAManifestTooLongToRead) {
  test::RawEntry entry = extra("manifest.json", std::string((16 << 20) + 1, ' '));
  expect_refused(linear_with({entry}), "manifest: 16.0 MiB; at most 16.0 MiB are read");
}

TEST_F(BadPackage, RefusesAWrongHashWithBothDigests) {
  const Json manifest = manifest_of({{"labels.txt", "one"}});
  expect_refused(linear_with({extra("manifest.json", manifest.dump()), extra("labels.txt", "two")}),
                 "\"labels.txt\" has the sha256 3fc4ccfe7458…, and 7692c3ad3540… in the manifest");
}

TEST_F(BadPackage, RefusesFilesOfAnotherSizeMissingOrUnnamed) {
  const Json manifest = manifest_of({{"labels.txt", "one"}});
  const auto text = extra("manifest.json", manifest.dump());
  expect_refused(linear_with({text, extra("labels.txt", "four")}), "\"labels.txt\" has 4 bytes, and 3 in the manifest");
  expect_refused(linear_with({text}), "the manifest names \"labels.txt\", which is missing");
  expect_refused(linear_with({text, extra("labels.txt", "one"), extra("more.txt", "x")}),
                 "the file \"more.txt\" is not in the manifest");
}

TEST_F(OpenPackage, RefusesAFlippedBitInAWeight) {
  std::vector<std::byte> bytes = read_file(kLinear);
  const Archive archive = Archive::open(kLinear);
  const std::vector<std::byte> weight = archive.read("data/0");
  const auto found = std::search(bytes.begin(), bytes.end(), weight.begin(), weight.end());
  ASSERT_NE(found, bytes.end());
  *found ^= std::byte{1};
  expect_error([&] { (void)open_package(put("flipped.pt", bytes)); }, kInvalid, "data/0");
}

}  // namespace
}  // namespace portfire
