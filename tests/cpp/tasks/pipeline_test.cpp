#include "tasks/pipeline.h"

#include <algorithm>

#include "../archive/expect_error.h"
#include "fake_engine.h"

namespace portfire {
namespace {

using test::classifier;
using test::classifier_manifest;
using test::expect_error;
using test::FakeEngine;
using test::grey_png;

const std::vector<std::string> kLabels{"zero", "one", "two", "three", "four", "five", "six", "seven"};

/// A classifier of greys: the picture of value k is class k.
struct Greys {
  /// `own` stand in for the classifier's methods of the same names.
  explicit Greys(std::int64_t max_batch, FakeEngine::Methods own = {})
      : manifest(classifier_manifest(kLabels, max_batch)), engine(merged(std::move(own))) {}

  static FakeEngine::Methods merged(FakeEngine::Methods own) {
    own.merge(classifier(8));
    return own;
  }

  [[nodiscard]] std::vector<Outcome> run(const std::vector<Input>& inputs) const { return pipeline.run_each(inputs, {}); }

  Manifest manifest;
  FakeEngine engine;
  std::unique_ptr<Task> task = make_task(manifest, test::no_assets, 0);
  Pipeline pipeline{engine, *task, &manifest, manifest.method("forward"), {"mean"}, manifest.name};
};

std::vector<Input> pictures(const std::vector<int>& values) {
  std::vector<Input> inputs;
  for (const int value : values) inputs.push_back(Input::bytes(grey_png(static_cast<std::uint8_t>(value)), "picture"));
  return inputs;
}

/// The label, or "!" and the message.
std::string told(const Outcome& outcome) {
  const Error* error = std::get_if<Error>(&outcome);
  return error != nullptr ? std::string("!") + error->what() : std::get<Classification>(std::get<Answer>(outcome).value).label();
}

std::vector<std::string> told(const std::vector<Outcome>& outcomes) {
  std::vector<std::string> all;
  for (const Outcome& outcome : outcomes) all.push_back(told(outcome));
  return all;
}

using Strings = std::vector<std::string>;

TEST(Pipeline, ShowsWhatEachInputBecomes) {
  const Greys greys(2);
  std::vector<Input> inputs = pictures({3, 5, 6});
  inputs.insert(inputs.begin() + 1, Input::text("no picture"));
  std::vector<std::pair<std::size_t, float>> shown;
  const Look look = [&](std::size_t input, std::span<const Tensor> decoded, std::span<const Tensor> sample) {
    EXPECT_EQ(decoded[0].shape(), (Dims{2, 2, 3}));
    shown.emplace_back(input, sample[0].values<float>()[0]);
  };
  EXPECT_EQ(greys.pipeline.run_each(inputs, {}, nullptr, look).size(), 4U);
  EXPECT_EQ(shown, (std::vector<std::pair<std::size_t, float>>{{0, 3.0F}, {2, 5.0F}, {3, 6.0F}}));
}

TEST(Pipeline, AnswersNothingWithNothing) {
  const Greys greys(4);
  EXPECT_TRUE(greys.run({}).empty());
  EXPECT_TRUE(greys.engine.forwards.empty());
}

TEST(Pipeline, RunsABatchThroughOneForward) {
  const Greys greys(4);
  EXPECT_EQ(told(greys.run(pictures({3, 1, 2}))), (Strings{"three", "one", "two"}));
  EXPECT_EQ(greys.engine.forwards, (std::vector<Dims>{{3, 1}}));
}

TEST(Pipeline, NeverPassesMaxBatch) {
  const Greys greys(2);
  EXPECT_EQ(told(greys.run(pictures({1, 2, 3, 4, 5}))), (Strings{"one", "two", "three", "four", "five"}));
  EXPECT_EQ(greys.engine.forwards, (std::vector<Dims>{{2, 1}, {2, 1}, {1, 1}}));
}

TEST(Pipeline, BatchesOnlySamplesOfOneShape) {
  auto preprocess = [](std::span<const Tensor> inputs) {  // as long as the picture is wide
    return std::vector<NamedTensor>{{"output", Tensor::zeros(DType::kFloat32, {inputs[0].shape()[1]})}};
  };
  auto forward = [](std::span<const Tensor> inputs) {
    Tensor logits = Tensor::zeros(DType::kFloat32, {inputs[0].shape()[0], 8});
    for (std::int64_t k = 0; k < logits.shape()[0]; ++k) static_cast<float*>(logits.mutable_data())[k * 8 + inputs[0].shape()[1]] = 1;
    return std::vector<NamedTensor>{{"output", logits}};
  };
  const Greys greys(4, {{"preprocess", preprocess}, {"forward", forward}});
  std::vector<Input> inputs;
  for (const std::int64_t width : {3, 5, 3, 5}) inputs.push_back(Input::bytes(grey_png(0, width, 1)));
  EXPECT_EQ(told(greys.run(inputs)), (Strings{"three", "five", "three", "five"}));
  EXPECT_EQ(greys.engine.forwards, (std::vector<Dims>{{2, 3}, {2, 5}}));
}

TEST(Pipeline, ABadInputDoesNotSpoilTheOthers) {
  const Greys greys(4);
  std::vector<Input> inputs = pictures({1, 2, 3});
  inputs[1] = Input::file("/no/such.png");
  const auto outcomes = greys.run(inputs);
  EXPECT_EQ(told(outcomes[0]), "one");
  EXPECT_EQ(told(outcomes[2]), "three");
  ASSERT_TRUE(std::holds_alternative<Error>(outcomes[1]));
  EXPECT_EQ(std::get<Error>(outcomes[1]).code(), ErrorCode::kNotFound);
  EXPECT_EQ(greys.engine.forwards, (std::vector<Dims>{{2, 1}}));
}

TEST(Pipeline, RetriesAFailedBatchOneByOne) {
  auto forward = [](std::span<const Tensor> inputs) {
    for (const float mean : inputs[0].values<float>()) {
      if (mean == 2) throw Error(ErrorCode::kInvalidInput, "two is not liked");
    }
    return classifier(8).at("forward")(inputs);
  };
  const Greys greys(4, {{"forward", forward}});
  EXPECT_EQ(told(greys.run(pictures({1, 2, 3}))), (Strings{"one", "!two is not liked", "three"}));
  EXPECT_EQ(greys.engine.forwards, (std::vector<Dims>{{3, 1}, {1, 1}, {1, 1}, {1, 1}}));
}

TEST(Pipeline, AFailedPostprocessIsItsOwnInputsAlone) {
  auto picky = [](std::span<const Tensor> inputs) {
    if (inputs[0].values<float>()[2] == 1) throw Error(ErrorCode::kInvalidInput, "not two");
    return std::vector<NamedTensor>{{"output", inputs[0]}};
  };
  const Greys greys(4, {{"postprocess", picky}});
  EXPECT_EQ(told(greys.run(pictures({1, 2, 3}))), (Strings{"one", "!not two", "three"}));
  EXPECT_EQ(greys.engine.forwards.size(), 1U);
}

TEST(Pipeline, RefusesAForwardThatLosesTheBatch) {
  auto forward = [](std::span<const Tensor>) { return std::vector<NamedTensor>{{"output", Tensor::zeros(DType::kFloat32, {8})}}; };
  const Greys greys(4, {{"forward", forward}});
  EXPECT_EQ(told(greys.run(pictures({1}))[0]),
            "!greys: forward gave float32 [8] cpu for a batch of 1; its first axis must be the batch");
}

TEST(Pipeline, ForwardIsCheckedAgainstTheManifest) {
  const Greys greys(4);
  const Tensor good = Tensor::zeros(DType::kFloat32, {2, 1});
  EXPECT_EQ(greys.pipeline.forward(std::span(&good, 1)).at(0).shape(), (Dims{2, 8}));
  const Tensor bad = Tensor::zeros(DType::kFloat64, {2, 1});
  expect_error([&] { (void)greys.pipeline.forward(std::span(&bad, 1)); }, ErrorCode::kInvalidInput, "greys: forward: mean: dtype");
  expect_error([&] { (void)greys.pipeline.forward_named({{"mean", bad}}); }, ErrorCode::kInvalidInput, "greys: forward: mean: dtype");
}

TEST(Pipeline, ForwardNamedUsesTheManifestsNames) {
  const Greys greys(4);
  const auto outputs = greys.pipeline.forward_named({{"mean", Tensor::zeros(DType::kFloat32, {2, 1})}});
  ASSERT_EQ(outputs.size(), 1U);
  EXPECT_EQ(outputs[0].name, "logits");
  expect_error([&] { (void)greys.pipeline.forward_named({{"logits", Tensor()}}); }, ErrorCode::kInvalidInput,
               "greys: no input \"logits\"; its inputs are mean");
}

TEST(Pipeline, RefusesOutputsThatTheManifestDoesNotName) {
  Greys greys(4);
  greys.manifest.methods[1].outputs.push_back(greys.manifest.methods[1].outputs[0]);
  expect_error([&] { (void)greys.pipeline.forward_named({{"mean", Tensor::zeros(DType::kFloat32, {2, 1})}}); },
               ErrorCode::kInvalidPackage, "greys: forward gave 1 outputs; its manifest names 2");
}

TEST(Pipeline, TraceKeepsEveryStagesOutputs) {
  const Greys greys(4);
  const auto trace = greys.pipeline.trace(pictures({3})[0]);
  ASSERT_EQ(trace.size(), 3U);
  EXPECT_EQ(trace[0].name, "preprocess/mean");
  EXPECT_EQ(trace[0].tensor, Tensor::copy_of(std::vector<float>{3}, {1}));
  EXPECT_EQ(trace[1].name, "forward/logits");
  EXPECT_EQ(trace[1].tensor.shape(), (Dims{1, 8}));
  EXPECT_EQ(trace[2].name, "postprocess/probabilities");
  EXPECT_EQ(trace[2].tensor, Tensor::copy_of(std::vector<float>{0, 0, 0, 1, 0, 0, 0, 0}, {8}));
}

/// TorchScript without a manifest: y = 2 a - b.
struct Tensors {
  FakeEngine engine{FakeEngine::Methods{{"forward", [](std::span<const Tensor> inputs) {
                        const float a = inputs[0].values<float>()[0];
                        const float b = inputs.size() > 1 ? inputs[1].values<float>()[0] : 0;
                        return std::vector<NamedTensor>{{"output", Tensor::copy_of(std::vector<float>{2 * a - b}, {1})}};
                      }}}};
  std::unique_ptr<Task> task = make_task(std::nullopt, test::no_assets, 0);
  Pipeline pipeline{engine, *task, nullptr, nullptr, {"a", "b"}, "double.pt"};
};

Tensor one(float value) { return Tensor::copy_of(std::vector<float>{value}, {1}); }

TEST(Pipeline, RunsTensorsWithoutAManifest) {
  const Tensors model;
  const std::vector<Input> inputs{Input::tensor(one(3)), Input::tensors({{"b", one(1)}, {"a", one(3)}})};
  const auto outcomes = model.pipeline.run_each(inputs, {});
  EXPECT_EQ(std::get<TensorAnswer>(std::get<Answer>(outcomes[0]).value).outputs, (std::vector<NamedTensor>{{"output", one(6)}}));
  EXPECT_EQ(std::get<TensorAnswer>(std::get<Answer>(outcomes[1]).value).outputs, (std::vector<NamedTensor>{{"output", one(5)}}));
}

TEST(Pipeline, ReportsABadTensorInputAlone) {
  const Tensors model;
  const std::vector<Input> inputs{Input::tensors({{"c", one(3)}}), Input::tensor(one(3))};
  const auto outcomes = model.pipeline.run_each(inputs, {});
  EXPECT_STREQ(std::get<Error>(outcomes[0]).what(), "double.pt: no input \"c\"; its inputs are a, b");
  EXPECT_TRUE(std::holds_alternative<Answer>(outcomes[1]));
}

TEST(Pipeline, TracesTensorsThroughForwardAlone) {
  const Tensors model;
  EXPECT_EQ(model.pipeline.trace(Input::tensor(one(3))), (std::vector<NamedTensor>{{"forward/output", one(6)}}));
}

}  // namespace
}  // namespace portfire
