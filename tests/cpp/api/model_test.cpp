#include <portfire/model.h>

#include <fstream>
#include <utility>

#include <portfire/codecs.h>

#include "../archive/expect_error.h"
#include "archive/archive.h"
#include "packages.h"

namespace portfire {
namespace {

using test::expect_error;
using test::floats;
using test::grey;
using test::kAdd;
using test::kBrightness;
using test::kTraced;

constexpr auto kInvalid = ErrorCode::kInvalidInput;

Classification classified(const Outcome& outcome) { return std::get<Answer>(outcome).classification(); }

TEST(Model, AnswersWithTheMostLikelyLabels) {
  const Model model = Model::load(kBrightness);
  EXPECT_EQ(model.run(grey(5)).classification().label(), "dark");
  EXPECT_EQ(model.run(grey(128)).classification().label(), "grey");
  const Classification bright = model.run(grey(250)).classification();
  EXPECT_EQ(bright.label(), "bright");
  ASSERT_EQ(bright.top.size(), 3U);
  EXPECT_EQ(bright.top[0].index, 2);
  EXPECT_GE(bright.top[0].probability, bright.top[1].probability);
  EXPECT_GE(bright.top[1].probability, bright.top[2].probability);
  EXPECT_NEAR(bright.top[0].probability + bright.top[1].probability + bright.top[2].probability, 1, 1e-6);
}

TEST(Model, GivesAsManyLabelsAsAskedFor) {
  const Model model = Model::load(kBrightness);
  EXPECT_EQ(model.run(grey(5), {.top_k = 1}).classification().top.size(), 1U);
  EXPECT_EQ(model.run(grey(5), {.top_k = 2}).classification().top.size(), 2U);
  expect_error([&] { (void)model.run(grey(5), {.top_k = 0}); }, ErrorCode::kInvalidArgument, "top_k is 0");
}

TEST(Model, AnswersTheSameFromBytesFileAndTensor) {
  const test::Folder folder;
  const Model model = Model::load(kBrightness);
  const auto png = grey(77).read();
  std::ofstream(folder.at("77.png"), std::ios::binary).write(reinterpret_cast<const char*>(png.data()), static_cast<std::streamsize>(png.size()));
  const Answer answer = model.run(grey(77));
  EXPECT_EQ(model.run(Input::file(folder.at("77.png"))), answer);
  EXPECT_EQ(model.run(Input::tensor(decode_image(png))), answer);
}

TEST(Model, AnswersTheSameInABatchAsAlone) {
  const Model model = Model::load(kBrightness);  // max_batch is 4
  std::vector<Input> inputs;
  for (int value = 0; value < 250; value += 25) inputs.push_back(grey(static_cast<std::uint8_t>(value), 2 + value % 3));
  const std::vector<Answer> together = model.run(inputs);
  ASSERT_EQ(together.size(), inputs.size());
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const Classification alone = model.run(inputs[k]).classification();
    EXPECT_EQ(together[k].classification().label(), alone.label());
    EXPECT_NEAR(together[k].classification().probability(), alone.probability(), 1e-6);
  }
}

TEST(Model, ComputesWhatEagerPythonStored) {
  const Model model = Model::load(kBrightness);
  const Archive archive = Archive::open(kBrightness + "/1/model.pt");
  const std::string output = model.info().manifest->method("postprocess")->outputs.at(0).name;
  for (const GoldenSample& golden : model.info().manifest->golden) {
    const auto expected = decode_safetensors(archive.read("extra/portfire/" + golden.expected));
    const auto answer = model.run(Input::bytes(archive.read("extra/portfire/" + golden.input))).classification();
    for (const NamedTensor& one : expected) {
      if (one.name != "postprocess/" + output) continue;
      for (const ScoredLabel& row : answer.top) {
        EXPECT_NEAR(row.probability, one.tensor.values<float>()[static_cast<std::size_t>(row.index)], 1e-6);
      }
    }
  }
}

TEST(Model, RunThrowsTheFirstInputsError) {
  const Model model = Model::load(kBrightness);
  const std::vector<Input> inputs{grey(1), Input::file("/no/such.png"), Input::bytes({}, "empty.png")};
  expect_error([&] { (void)model.run(inputs); }, ErrorCode::kNotFound, "/no/such.png");
}

TEST(Model, RunEachReportsBadInputsInTheirPlaces) {
  const Model model = Model::load(kBrightness);
  const std::vector<Input> inputs{grey(1), Input::bytes({}, "empty.png"), grey(250), Input::tensor(Tensor::zeros(DType::kFloat32, {2, 2, 3}), "wrong")};
  const auto outcomes = model.run_each(inputs);
  ASSERT_EQ(outcomes.size(), 4U);
  EXPECT_EQ(classified(outcomes[0]).label(), "dark");
  EXPECT_EQ(std::get<Error>(outcomes[1]).code(), kInvalid);
  EXPECT_THAT(std::get<Error>(outcomes[1]).what(), testing::StartsWith("empty.png: "));
  EXPECT_EQ(classified(outcomes[2]).label(), "bright");
  EXPECT_THAT(std::get<Error>(outcomes[3]).what(), testing::StartsWith("wrong: float32 [2, 2, 3]"));
  EXPECT_TRUE(model.run_each({}).empty());
}

TEST(Model, ForwardIsTheBareCall) {
  const Model model = Model::load(kAdd);
  const std::vector<Tensor> inputs{floats({1, 2}, {1, 2}), floats({10, 20}, {1, 2})};
  const auto outputs = model.forward(inputs);
  EXPECT_EQ(outputs, (std::vector<Tensor>{floats({11, 22}, {1, 2}), floats({2, 4}, {1, 2})}));
  EXPECT_EQ(Model::load(kTraced).forward(floats({1, 2}, {2})), floats({3, 5}, {2}));
}

TEST(Model, ForwardRefusesWhatTheManifestDoesNotAllow) {
  const Model model = Model::load(kAdd);
  const Tensor x = floats({1, 2}, {1, 2});
  expect_error([&] { (void)model.forward(x); }, kInvalid, "add: forward: 1 inputs; it takes 2 (a, b)");
  expect_error([&] { (void)model.forward(std::vector<Tensor>{x, floats({1}, {1})}); }, kInvalid, "add: forward: b: shape [1]");
  expect_error([&] { (void)model.forward(std::vector<Tensor>{x, Tensor::zeros(DType::kInt64, {1, 2})}); }, kInvalid, "add: forward: b: dtype int64");
}

TEST(Model, ForwardNamedTakesAndGivesNames) {
  const Model model = Model::load(kAdd);
  const auto outputs = model.forward_named({{"b", floats({10, 20}, {1, 2})}, {"a", floats({1, 2}, {1, 2})}});
  ASSERT_EQ(outputs.size(), 2U);
  EXPECT_EQ(outputs[0].name, model.info().manifest->method("forward")->outputs[0].name);
  EXPECT_EQ(outputs[1].tensor, floats({2, 4}, {1, 2}));
}

TEST(Model, RunsTensorsFromAFile) {
  const Model model = Model::load(kTraced);
  const auto outputs = model.run(Input::bytes(encode_npy(floats({1, 2}, {2})))).tensors().outputs;
  EXPECT_EQ(outputs, (std::vector<NamedTensor>{{"output", floats({3, 5}, {2})}}));
}

TEST(Model, MakesTensorsOfPictures) {
  const Tensor tensor = Model::load(kTraced).image_tensor(grey(255, 2), {});
  EXPECT_EQ(tensor.shape(), (Dims{1, 3, 2, 2}));
  for (const float value : tensor.values<float>()) EXPECT_FLOAT_EQ(value, 1);
}

TEST(Model, VerifiesItself) {
  const VerifyReport report = Model::load(kBrightness).verify();
  EXPECT_TRUE(report.passed());
  EXPECT_EQ(report.stages.size(), 9U);
  EXPECT_EQ(report.engine, "torchscript");
  EXPECT_FALSE(Model::load(kTraced).verify().passed());
  EXPECT_EQ(Model::load(kTraced).verify().summary(), "no golden samples: nothing was verified");
}

TEST(Model, IsAHandleThatCopiesShare) {
  Model first = Model::load(kAdd);
  const Model second = first;
  EXPECT_EQ(&first.info(), &second.info());
  Model third = std::move(first);
  EXPECT_EQ(&third.info(), &second.info());
  third = Model::load(kTraced);
  EXPECT_NE(&third.info(), &second.info());
  third = second;
  EXPECT_EQ(&third.info(), &second.info());
  third = *&third;
  EXPECT_EQ(&third.info(), &second.info());
}

TEST(Model, OutlivesTheHandlesItWasCopiedFrom) {
  auto owner = std::make_unique<Model>(Model::load(kTraced));
  const Model copy = *owner;
  owner.reset();
  EXPECT_EQ(copy.forward(floats({1}, {1})), floats({3}, {1}));
}

TEST(Model, ItsAnswersOutliveIt) {
  Tensor output;
  { output = Model::load(kTraced).forward(floats({1}, {1})); }
  EXPECT_EQ(output, floats({3}, {1}));
}

}  // namespace
}  // namespace portfire
