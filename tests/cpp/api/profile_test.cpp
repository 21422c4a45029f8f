#include "api/profile.h"

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "core/file.h"
#include "packages.h"

namespace portfire {
namespace {

class ProfileTest : public testing::Test {
 protected:
  ProfileTest() { setenv("XDG_CACHE_HOME", folder_.at("cache").c_str(), 1); }
  ~ProfileTest() override { unsetenv("XDG_CACHE_HOME"); }

  void write(const std::string& name, const std::string& text) const { write_file(folder_.at(name), std::as_bytes(std::span(text))); }

  test::Folder folder_;
};

TuneRow row(int threads, double p50_us, Precision precision = Precision::kPackaged) {
  return {.engine = "graph", .optimization = Optimization::kFull, .precision = precision, .threads = threads, .batch = 1, .load_ms = 1, .p50_us = p50_us};
}

TEST_F(ProfileTest, ComesBackAsItWasWritten) {
  TuneRow refused = row(2, 0);
  refused.problem = "forward/logits: too far";
  const std::string path = folder_.at("cache/portfire/tune/a.json");
  write_profile(path, {.made = "2026-11-21", .rows = {row(1, 12.5), refused}});
  const std::optional<Profile> found = read_profile(path);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->made, "2026-11-21");
  ASSERT_EQ(found->rows.size(), 2);
  EXPECT_EQ(found->rows[0].engine, "graph");
  EXPECT_EQ(found->rows[0].optimization, Optimization::kFull);
  EXPECT_EQ(found->rows[0].p50_us, 12.5);
  EXPECT_EQ(found->rows[1].problem, "forward/logits: too far");
}

TEST_F(ProfileTest, IsNothingWhereItCannotBeRead) {
  EXPECT_FALSE(read_profile(""));
  EXPECT_FALSE(read_profile(folder_.at("none.json")));
  EXPECT_FALSE(read_profile(folder_.at(".")));
  const auto kRow = [](const std::string& engine, const std::string& threads) {
    return R"({"format": 1, "made": "", "rows": [{"engine": ")" + engine + R"(", "optimization": "full", "precision": "packaged", "threads": )" +
           threads + R"(, "batch": 1, "load_ms": 1, "p50_us": 1}]})";
  };
  write("sound.json", kRow("graph", "1024"));
  EXPECT_TRUE(read_profile(folder_.at("sound.json")));
  for (const std::string& text : {std::string(), std::string("{"), std::string("[]"), std::string("{\"format\": 1}"), std::string("{\"format\": 2, \"made\": \"\", \"rows\": []}"),
                           std::string("{\"format\": 1, \"made\": \"\", \"rows\": [{\"engine\": \"graph\", \"optimization\": \"much\"}]}"),
                           std::string("{\"format\": 1, \"made\": \"\", \"rows\": [{\"engine\": 3}]}"), kRow("evil", "1"), kRow("graph", "0"), kRow("graph", "1025"),
                           kRow("graph", "4294967297")}) {
    write("rubbish.json", text);
    EXPECT_FALSE(read_profile(folder_.at("rubbish.json"))) << text;
  }
}

TEST_F(ProfileTest, BelongsToTheFilesAndTheDevice) {
  write("a.pt", "one model");
  write("b.pt", "other model");
  const std::string path = profile_path({folder_.at("a.pt")}, {});
  EXPECT_TRUE(path.starts_with(folder_.at("cache/portfire/tune/"))) << path;
  EXPECT_NE(profile_path({folder_.at("b.pt")}, {}), path);
  EXPECT_NE(profile_path({folder_.at("a.pt"), folder_.at("b.pt")}, {}), path);
  EXPECT_NE(profile_path({folder_.at("a.pt")}, {Device::Kind::kCuda, 0}), path);
  write("c.pt", "one model");
  EXPECT_EQ(profile_path({folder_.at("c.pt")}, {}), path) << "wherever they lie";
}

TEST_F(ProfileTest, SeesAChangeAnywhereInAPackage) {
  const std::string package = test::kBrightness + "/1/model.pt";
  const std::string path = profile_path({package}, {});
  test::write_changed(package, folder_.at("changed.pt"), {{"extra/portfire/golden/0/input.png", "another picture"}});
  EXPECT_NE(profile_path({folder_.at("changed.pt")}, {}), path);
}

TEST(Fastest, IsTheLeastTime) {
  EXPECT_EQ(fastest({row(1, 30), row(2, 20), row(4, 25)}, {}), 1);
  EXPECT_EQ(fastest({}, {}), -1);
}

TEST(Fastest, TakesFewerThreadsForNearlyTheSame) {
  EXPECT_EQ(fastest({row(1, 10.2), row(2, 10)}, {}), 0);
  EXPECT_EQ(fastest({row(2, 10), row(1, 10.2)}, {}), 1);
  EXPECT_EQ(fastest({row(1, 10.4), row(2, 10)}, {}), 1);
}

TEST(Fastest, LooksAtTheFirstBatchAndLeavesRefusedRowsOut) {
  TuneRow other_batch = row(1, 1);
  other_batch.batch = 8;
  TuneRow refused = row(1, 1);
  refused.problem = "does not hold";
  EXPECT_EQ(fastest({row(1, 10), other_batch, refused, row(1, 5)}, {}), 3);
}

TEST(Fastest, KeepsToWhatWasAskedFor) {
  const std::vector<TuneRow> rows{row(1, 10), row(2, 8), row(1, 4, Precision::kBFloat16)};
  EXPECT_EQ(fastest(rows, {}), 1);
  EXPECT_EQ(fastest(rows, {.threads = 1}), 0);
  EXPECT_EQ(fastest(rows, {.threads = 3}), 1) << "measured with none, so the best of all";
  EXPECT_EQ(fastest(rows, {.precision = Precision::kFastest}), 2);
  EXPECT_EQ(fastest(rows, {.precision = Precision::kBFloat16}), 2);
  EXPECT_EQ(fastest(rows, {.precision = Precision::kFastest, .threads = 2}), 1);
}

}  // namespace
}  // namespace portfire
