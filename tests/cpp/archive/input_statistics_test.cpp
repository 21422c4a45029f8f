#include "archive/input_statistics.h"

#include <string>

#include "archive/manifest_json.h"
#include "core/file.h"
#include "expect_error.h"
#include "raw_zip.h"

namespace portfire {
namespace {

using test::expect_error;

/// Of digits with three labels: forward takes x, float32 [N, 1, 8, 8].
Manifest digits() { return parse_manifest(test::text_of(read_file(PORTFIRE_TEST_DATA "/manifest/valid/image_classification.json")), "m"); }
Manifest texts() { return parse_manifest(test::text_of(read_file(PORTFIRE_TEST_DATA "/manifest/valid/text_classification.json")), "m"); }

std::string with(const std::string& quantities) { return R"({"quantities":[)" + quantities + "]}"; }

TEST(ParseInputStatistics, ReadsEveryField) {
  const InputStatistics pictures = parse_input_statistics(
      with(R"({"measure":"mean","input":"x","edges":[-1.5,2],"counts":[1,0,3]},)"
           R"({"measure":"spread","input":"x","channel":0,"edges":[0],"counts":[0,4]},)"
           R"({"measure":"answer","counts":[2,1,1]})"),
      "s.json", digits());
  ASSERT_EQ(pictures.quantities.size(), 3U);
  const Quantity& mean = pictures.quantities[0];
  EXPECT_EQ(mean.measure, Measure::kMean);
  EXPECT_EQ(mean.place, 0);
  EXPECT_EQ(mean.channel, -1);
  EXPECT_EQ(mean.edges, (std::vector<double>{-1.5, 2}));
  EXPECT_EQ(mean.counts, (std::vector<std::int64_t>{1, 0, 3}));
  EXPECT_EQ(mean.name(), "x mean");
  EXPECT_EQ(pictures.quantities[1].name(), "x[0] spread");
  EXPECT_EQ(pictures.quantities[2].name(), "answer");

  const InputStatistics words = parse_input_statistics(
      with(R"({"measure":"tokens","edges":[4],"counts":[1,1]},{"measure":"token_share","token":7,"edges":[0.5],"counts":[2,0]})"), "s.json", texts());
  EXPECT_EQ(words.quantities[0].name(), "tokens");
  EXPECT_EQ(words.quantities[1].token, 7);
  EXPECT_EQ(words.quantities[1].name(), "token 7");
}

TEST(ParseInputStatistics, NamesDamage) {
  const auto refused = [](const std::string& json, const std::string& part) {
    expect_error([&] { (void)parse_input_statistics(json, "s.json", digits()); }, ErrorCode::kInvalidPackage, part);
  };
  const auto bins = [](const std::string& rest) { return with(R"({"measure":"mean","input":"x",)" + rest + "}"); };
  (void)parse_input_statistics(bins(R"("edges":[1],"counts":[1,1])"), "s.json", digits());
  refused("", "s.json");
  refused("[]", "s.json");
  refused("{}", "the field \"quantities\" is missing");
  refused(R"({"quantities":[],"more":1})", "more");
  refused(with(""), "quantities: has 0 quantities; 1 to 64");
  refused(with("1"), "quantities[0]");
  refused(with(R"({"measure":"median","input":"x","edges":[1],"counts":[1,1]})"), "quantities[0].measure: \"median\" is not known; one of mean, spread");
  refused(with(R"({"measure":"mean","input":"y","edges":[1],"counts":[1,1]})"), "quantities[0].input: \"y\" is not an input of forward");
  refused(with(R"({"measure":"mean","input":"x","channel":1,"edges":[1],"counts":[1,1]})"), "channel: 1 is not below the size of a sample's first axis, 1");
  refused(with(R"({"measure":"tokens","edges":[1],"counts":[1,1]})"), "measure: is of texts, and the raw input is image");
  refused(with(R"({"measure":"answer","counts":[1,1]})"), "counts: has 2 numbers; 3, one for each label");
  refused(with(R"({"measure":"answer","edges":[1],"counts":[1,1,1]})"), "edges");
  refused(bins(R"("edges":[1],"counts":[1,1,1])"), "counts: has 3 numbers; 2, one more than there are edges");
  refused(bins(R"("edges":[],"counts":[1])"), "counts: has 1 bins; 2 to 64");
  refused(bins(R"("edges":[1],"counts":[0,0])"), "counts: counts no sample");
  refused(bins(R"("edges":[1],"counts":[2,-1])"), "counts[1]: -1 is not a whole number");
  refused(bins(R"("edges":[1],"counts":[1.5,1])"), "counts[0]");
  refused(bins(R"("edges":[1],"counts":[1,9223372036854775807])"), "counts[1]: 9223372036854775807 samples; at most");
  refused(bins(R"("edges":[1,1],"counts":[1,1,1])"), "edges[1]: 1 is not above the edge before it, 1");
  refused(bins(R"("edges":["1"],"counts":[1,1])"), "edges[0]");
  refused(bins(R"("edges":[1e999],"counts":[1,1])"), "s.json");
  const std::string one = R"({"measure":"mean","input":"x","edges":[1],"counts":[1,1]})";
  refused(with(one + "," + one), "quantities[1]: \"x mean\" is there twice");
  refused(with(one) + std::string(1 << 16, ' '), "s.json");
}

}  // namespace
}  // namespace portfire
