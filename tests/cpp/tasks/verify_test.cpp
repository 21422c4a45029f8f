#include "tasks/verify.h"

#include <portfire/codecs.h>

#include "../archive/expect_error.h"
#include "fake_engine.h"

namespace portfire {
namespace {

using test::FakeEngine;
using test::grey_png;
using testing::HasSubstr;
using testing::SizeIs;

struct Verified {
  Verified() {
    manifest.golden = {{.input = "golden/0/input.png", .expected = "golden/0/expected.safetensors"}};
    manifest.tolerances = {{.dtype = DType::kFloat32, .atol = 0.25, .rtol = 0}};
    expected = {{"preprocess/mean", Tensor::copy_of(std::vector<float>{1}, {1})},
                {"forward/logits", Tensor::copy_of(std::vector<float>{0, 1, 0}, {1, 3})},
                {"postprocess/probabilities", Tensor::copy_of(std::vector<float>{0, 1, 0}, {3})}};
  }

  [[nodiscard]] std::vector<StageResult> replay() const {
    const std::vector<GoldenBytes> golden{{input, encode_safetensors(expected)}};
    return replay_golden(manifest, golden, pipeline);
  }

  Manifest manifest = test::classifier_manifest({"zero", "one", "two"}, 4);
  FakeEngine engine{test::classifier(3)};
  std::unique_ptr<Task> task = make_task(manifest, test::no_assets, 0);
  Pipeline pipeline{engine, *task, &manifest, manifest.method("forward"), {"mean"}, "greys"};
  std::vector<NamedTensor> expected;
  std::vector<std::byte> input = grey_png(1);
};

TEST(ReplayGolden, PassesEveryStageInOrder) {
  const auto results = Verified().replay();
  ASSERT_THAT(results, SizeIs(3));
  EXPECT_EQ(results[0].stage, "preprocess");
  EXPECT_EQ(results[0].output, "mean");
  EXPECT_EQ(results[1].stage, "forward");
  EXPECT_EQ(results[2].stage, "postprocess");
  for (const StageResult& result : results) {
    EXPECT_TRUE(result.passed);
    EXPECT_EQ(result.problem, "");
    EXPECT_EQ(result.tolerance.atol, 0.25);
  }
}

TEST(ReplayGolden, MeasuresErrorsWithinTheTolerance) {
  Verified verified;
  verified.expected[1].tensor = Tensor::copy_of(std::vector<float>{0, 1.25F, 0}, {1, 3});
  const auto results = verified.replay();
  EXPECT_TRUE(results[1].passed);
  EXPECT_DOUBLE_EQ(results[1].max_abs_error, 0.25);
  EXPECT_DOUBLE_EQ(results[1].max_rel_error, 0.2);
}

TEST(ReplayGolden, FailsOnlyTheStageThatIsOff) {
  Verified verified;
  verified.expected[1].tensor = Tensor::copy_of(std::vector<float>{0, 2, 0}, {1, 3});
  const auto results = verified.replay();
  EXPECT_TRUE(results[0].passed);
  EXPECT_FALSE(results[1].passed);
  EXPECT_THAT(results[1].problem, HasSubstr("1 of 3 values off by up to 1"));
  EXPECT_TRUE(results[2].passed);
}

TEST(ReplayGolden, FailsAnOutputThatWasNotStored) {
  Verified verified;
  verified.expected.erase(verified.expected.begin());
  const auto results = verified.replay();
  EXPECT_FALSE(results[0].passed);
  EXPECT_EQ(results[0].problem, "the golden sample has no preprocess/mean");
}

TEST(ReplayGolden, FailsAStoredOutputThatNoStageGives) {
  Verified verified;
  verified.expected.push_back({"forward/attention", Tensor::zeros(DType::kFloat32, {1})});
  const auto results = verified.replay();
  ASSERT_THAT(results, SizeIs(4));
  EXPECT_FALSE(results[3].passed);
  EXPECT_EQ(results[3].stage, "forward");
  EXPECT_EQ(results[3].output, "attention");
  EXPECT_EQ(results[3].problem, "no stage gives it");
}

TEST(ReplayGolden, UsesNoToleranceWhereNoneIsDeclared) {
  Verified verified;
  verified.manifest.tolerances.clear();
  verified.expected[0].tensor = Tensor::copy_of(std::vector<float>{1.0000001F}, {1});
  EXPECT_FALSE(verified.replay()[0].passed);
}

TEST(ReplayGolden, AStageThatThrowsIsAFailedResult) {
  Verified verified;
  verified.input = {std::byte{'x'}};
  const auto results = verified.replay();
  ASSERT_THAT(results, SizeIs(1));
  EXPECT_FALSE(results[0].passed);
  EXPECT_EQ(results[0].stage, "run");
  EXPECT_THAT(results[0].problem, HasSubstr("golden/0/input.png"));
}

TEST(ReplayGolden, DamagedExpectationsAreAFailedResult) {
  const Verified verified;
  const std::vector<GoldenBytes> golden{{verified.input, {std::byte{1}}}};
  const auto results = replay_golden(verified.manifest, golden, verified.pipeline);
  ASSERT_THAT(results, SizeIs(1));
  EXPECT_THAT(results[0].problem, HasSubstr("golden/0/expected.safetensors"));
}

TEST(ReplayGolden, GoesOnWithTheNextSample) {
  Verified verified;
  verified.manifest.golden.push_back(verified.manifest.golden[0]);
  const std::vector<std::byte> expected = encode_safetensors(verified.expected);
  const std::vector<GoldenBytes> golden{{{std::byte{'x'}}, expected}, {verified.input, expected}};
  const auto results = replay_golden(verified.manifest, golden, verified.pipeline);
  ASSERT_THAT(results, SizeIs(4));
  EXPECT_FALSE(results[0].passed);
  EXPECT_EQ(results[1].sample, 1);
  EXPECT_TRUE(results[1].passed);
}

}  // namespace
}  // namespace portfire
