// What `Model::load` takes and refuses.
#include <portfire/model.h>

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include <portfire/codecs.h>

#include "../archive/expect_error.h"
#include "core/file.h"
#include "packages.h"

namespace portfire {
namespace {

using test::expect_error;
using test::kAdd;
using test::kBrightness;
using testing::HasSubstr;
using testing::StartsWith;

constexpr auto kArgument = ErrorCode::kInvalidArgument;

void expect_refused(const std::string& path, ErrorCode code, const std::string& part, const LoadOptions& options = {}) {
  expect_error([&] { (void)Model::load(path, options); }, code, part);
}

TEST(Load, FindsAPackageByFileVersionAndName) {
  const test::Folder folder;
  for (const char* version : {"2", "10", "notes"}) {
    std::filesystem::create_directories(folder.at(std::string("m/") + version));
    std::filesystem::copy(kBrightness + "/1/model.pt", folder.at(std::string("m/") + version + "/model.pt"));
  }
  EXPECT_EQ(Model::load(folder.at("m")).info().path, folder.at("m/10/model.pt"));
  EXPECT_EQ(Model::load(folder.at("m/2")).info().path, folder.at("m/2/model.pt"));
  EXPECT_EQ(Model::load(folder.at("m/2/model.pt")).info().path, folder.at("m/2/model.pt"));
  EXPECT_EQ(resolve_package(folder.at("m")), folder.at("m/10/model.pt"));
}

TEST(Load, SaysThatNothingIsThere) {
  const test::Folder folder;
  expect_refused(folder.at("none"), ErrorCode::kNotFound, "none: no such file or folder");
  std::filesystem::create_directory(folder.at("empty"));
  expect_refused(folder.at("empty"), ErrorCode::kNotFound, "empty: neither model.pt nor a version folder");
}

TEST(Load, RefusesFilesThatAreNoModels) {
  const test::Folder folder;
  write_file(folder.at("empty.pt"), {});
  expect_refused(folder.at("empty.pt"), ErrorCode::kInvalidPackage, "empty.pt: ");
  const std::string text = "Once upon a time";
  write_file(folder.at("text.pt"), std::as_bytes(std::span(text)));
  expect_refused(folder.at("text.pt"), ErrorCode::kInvalidPackage, "text.pt: ");
  auto half = read_file(kBrightness + "/1/model.pt");
  half.resize(half.size() / 2);
  write_file(folder.at("half.pt"), half);
  expect_refused(folder.at("half.pt"), ErrorCode::kInvalidPackage, "half.pt: ");
}

TEST(Load, RefusesOptionsThatMakeNoSense) {
  expect_refused(kAdd, kArgument, "unknown engine \"tensorrt\"; one of auto, torchscript", {.engine = "tensorrt"});
  expect_refused(kAdd, kArgument, "threads is -1; 0 (this machine's budget) or 1 to 1024", {.threads = -1});
  expect_refused(kAdd, kArgument, "threads is 1025", {.threads = 1025});
  expect_refused(kAdd, kArgument, "max_pixels is -1", {.max_pixels = -1});
  expect_error([] { (void)inspect(kAdd, {.engine = "tensorrt"}); }, kArgument, "unknown engine");
}

TEST(Load, TakesOptionsThatDo) {
  EXPECT_EQ(Model::load(kAdd, {.engine = "torchscript"}).info().engine, "torchscript");
  EXPECT_EQ(Model::load(kAdd, {.threads = 2}).info().threads, 2);
  EXPECT_EQ(Model::load(kAdd).info().threads, cpu_budget());
}

TEST(Load, HoldsPicturesToTheTighterPixelLimit) {
  const Model model = Model::load(kBrightness, {.max_pixels = 15});  // its golden samples have 16
  expect_error([&] { (void)model.run(test::grey(0, 4)); }, ErrorCode::kInvalidInput, "pixels");
  EXPECT_NO_THROW((void)model.run(test::grey(0, 3)));
  EXPECT_TRUE(model.verify().passed());
}

TEST(Load, RefusesADeviceThatIsNotThere) {
  if (cuda_available()) GTEST_SKIP() << "a CUDA device answers";
  expect_refused(kAdd, ErrorCode::kUnsupported, "device cuda:3 is not there", {.device = Device::parse("cuda:3")});
}

TEST(Load, UsesTheOptimizationAskedFor) {
  EXPECT_EQ(Model::load(kBrightness, {.optimization = Optimization::kNone}).info().optimization, "none");
  EXPECT_EQ(Model::load(kBrightness, {.optimization = Optimization::kFreeze}).info().optimization, "freeze");
  EXPECT_EQ(Model::load(kBrightness, {.optimization = Optimization::kFull}).info().optimization, "full");
  EXPECT_EQ(Model::load(test::kTraced).info().optimization, "freeze");
}

/// True where this process has the file mapped.
bool is_mapped(const std::string& path) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.ends_with(path)) return true;
  }
  return false;
}

TEST(Load, UsesWeightsWhereTheFileHasThemWhenAsked) {
  const test::Folder folder;
  const std::string file = std::filesystem::canonical(folder.at("")) / "layers.pt2";
  std::filesystem::copy(resolve_package(test::kLayers), file);
  const Tensor x = test::floats(std::vector<float>(4 * 8 * 8, 0.5F), {1, 4, 8, 8});
  for (const Optimization level : {Optimization::kNone, Optimization::kFull}) {
    const Model read = Model::load(file, {.optimization = level});
    EXPECT_FALSE(is_mapped(file));
    const Model mapped = Model::load(file, {.optimization = level, .map_file = true});
    EXPECT_TRUE(is_mapped(file));
    EXPECT_EQ(mapped.forward(x), read.forward(x));
    EXPECT_TRUE(mapped.verify().passed());
  }
  EXPECT_FALSE(is_mapped(file));
}

TEST(Load, FallsBackToWhatTheGoldenSamplesAllowAndSaysWhy) {
  const std::string cancelling = PORTFIRE_TEST_DATA "/models/cancelling";
  EXPECT_THAT(Model::load(cancelling).info().optimization,
              testing::MatchesRegex("none; freeze failed: golden sample 0: forward/[a-z]+: 2 of 2 values off by up to .*"));
  EXPECT_THAT(Model::load(cancelling, {.optimization = Optimization::kFull}).info().optimization,
              testing::MatchesRegex("none; full failed: golden sample 0: .*; freeze failed: golden sample 0: .*"));
  EXPECT_TRUE(Model::load(cancelling).verify().passed());
  // What `portfire verify` does: it looks at the level that `run` would use.
  EXPECT_TRUE(Model::load(cancelling, {.check_golden = false}).verify().passed());
}

/// brightness with another expected probability in its second golden sample.
std::string with_wrong_golden(const test::Folder& folder) {
  const std::string name = "extra/portfire/golden/1/expected.safetensors";
  const std::string before = test::record_of(kBrightness, name);
  auto tensors = decode_safetensors(std::as_bytes(std::span(before)));
  for (NamedTensor& one : tensors) {
    if (one.name == "postprocess/" + inspect(kBrightness).manifest->method("postprocess")->outputs[0].name) {
      one.tensor = test::floats({0.5F, 0.25F, 0.25F}, {3});
    }
  }
  const auto after = encode_safetensors(tensors);
  test::write_changed(kBrightness, folder.at("wrong/1/model.pt"), {{name, {reinterpret_cast<const char*>(after.data()), after.size()}}});
  return folder.at("wrong");
}

TEST(Load, RefusesAModelThatDoesNotHoldItsGoldenSamples) {
  const test::Folder folder;
  const std::string wrong = with_wrong_golden(folder);
  expect_refused(wrong, ErrorCode::kVerificationFailed, "wrong/1/model.pt: golden sample 1: postprocess/");
  expect_refused(wrong, ErrorCode::kVerificationFailed, "golden sample 1", {.optimization = Optimization::kNone});
  expect_refused(wrong, ErrorCode::kVerificationFailed, "golden sample 1", {.optimization = Optimization::kFull});
}

TEST(Load, LoadsItForLookingWhenAsked) {
  const test::Folder folder;
  const Model model = Model::load(with_wrong_golden(folder), {.check_golden = false});
  const VerifyReport report = model.verify();
  EXPECT_FALSE(report.passed());
  EXPECT_THAT(report.summary(), StartsWith("golden sample 1: postprocess/"));
  EXPECT_THAT(report.summary(), HasSubstr(" values off by up to "));
  ASSERT_EQ(report.stages.size(), 9U);
  for (const StageResult& stage : report.stages) EXPECT_EQ(stage.passed, stage.sample != 1 || stage.stage != "postprocess");
}

TEST(Load, RefusesAManifestThatNamesMethodsThatAreNotThere) {
  const test::Folder folder;
  std::string code = test::record_of(kBrightness, "code/__torch__.py");
  const auto at = code.find("def preprocess(");
  ASSERT_NE(at, std::string::npos);
  code.replace(at, 14, "def preprocezz");
  test::write_changed(kBrightness, folder.at("model.pt"), {{"code/__torch__.py", code}});
  expect_refused(folder.at("model.pt"), ErrorCode::kInvalidPackage, "its manifest names the method preprocess, which its program does not have");
}

TEST(Load, RefusesANewerFormatVersion) {
  const test::Folder folder;
  auto manifest = nlohmann::json::parse(test::record_of(kAdd, "extra/portfire/manifest.json"));
  manifest["format_version"] = 2;
  test::write_changed(kAdd, folder.at("model.pt"), {{"extra/portfire/manifest.json", manifest.dump()}});
  expect_refused(folder.at("model.pt"), ErrorCode::kVersionMismatch, "model.pt: ");
}

}  // namespace
}  // namespace portfire
