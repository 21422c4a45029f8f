#include <portfire/model.h>

#include <gtest/gtest.h>

#include <limits>

namespace portfire {
namespace {

StageResult stage(std::int64_t sample, bool passed, double error) {
  return {.sample = sample, .stage = "forward", .output = "logits", .max_abs_error = error, .max_rel_error = error,
          .tolerance = {.dtype = DType::kFloat32, .atol = 0.5, .rtol = 0.25}, .passed = passed, .problem = passed ? "" : "off by 2"};
}

TEST(VerifyReport, PassesWhenEveryStageDid) {
  VerifyReport report{.engine = "torchscript", .device = {}, .optimization = "freeze", .precision = "packaged", .stages = {stage(0, true, 0.25), stage(1, true, 0.125)}};
  EXPECT_TRUE(report.passed());
  EXPECT_EQ(report.summary(), "2 golden samples hold; largest error 0.25");
  report.stages.push_back(stage(2, false, 2));
  EXPECT_FALSE(report.passed());
  EXPECT_EQ(report.summary(), "golden sample 2: forward/logits: off by 2");
}

TEST(VerifyReport, NothingVerifiedIsNotPassed) {
  EXPECT_FALSE(VerifyReport{}.passed());
  EXPECT_EQ(VerifyReport{}.summary(), "no golden samples: nothing was verified");
}

TEST(VerifyReport, WritesEveryFieldOnOneLine) {
  const VerifyReport report{.engine = "torchscript", .device = {}, .optimization = "freeze", .precision = "packaged",
                            .stages = {stage(0, true, 0.25), stage(1, false, std::numeric_limits<double>::infinity())}};
  EXPECT_EQ(report.to_json(),
            R"({"passed":false,"summary":"golden sample 1: forward/logits: off by 2","engine":"torchscript","device":"cpu","optimization":"freeze","precision":"packaged",)"
            R"("stages":[{"sample":0,"stage":"forward","output":"logits","passed":true,"max_abs_error":0.25,"max_rel_error":0.25,"atol":0.5,"rtol":0.25},)"
            R"({"sample":1,"stage":"forward","output":"logits","passed":false,"max_abs_error":null,"max_rel_error":null,"atol":0.5,"rtol":0.25,"problem":"off by 2"}]})");
}

}  // namespace
}  // namespace portfire
