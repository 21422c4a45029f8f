#include "serving/explainer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "../archive/expect_error.h"
#include "../tasks/fake_engine.h"
#include "doubler.h"

namespace portfire::serving {
namespace {

using test::expect_error;
using test::FakeEngine;
using test::Gate;

/// A classifier of pictures: "bright" as much as the pixel (1, 2) is, of 255; else "dark".
struct Spot {
  explicit Spot(std::function<void()> before = {})
      : engine({{"preprocess", [](std::span<const Tensor> inputs) {
                   const Tensor& picture = inputs[0];
                   Tensor out = Tensor::zeros(DType::kFloat32, {1, picture.shape()[0], picture.shape()[1]});
                   auto* at = static_cast<float*>(out.mutable_data());
                   const auto values = picture.values<std::uint8_t>();
                   for (std::size_t k = 0; k < values.size(); k += 3) *at++ = static_cast<float>(values[k]) / 255;
                   return std::vector<NamedTensor>{{"output", out}};
                 }},
                {"forward", [before = std::move(before)](std::span<const Tensor> inputs) {
                   if (before) before();
                   const Dims& shape = inputs[0].shape();
                   Tensor out = Tensor::zeros(DType::kFloat32, {shape[0], 2});
                   auto* at = static_cast<float*>(out.mutable_data());
                   const auto values = inputs[0].values<float>();
                   for (std::int64_t n = 0; n < shape[0]; ++n) {
                     const float bright = values[static_cast<std::size_t>(n * shape[2] * shape[3] + shape[3] + 2)];
                     *at++ = 1 - bright;
                     *at++ = bright;
                   }
                   return std::vector<NamedTensor>{{"output", out}};
                 }},
                {"postprocess", [](std::span<const Tensor> inputs) { return std::vector<NamedTensor>{{"output", inputs[0]}}; }}}) {
    info.manifest = manifest;
    info.task = manifest.task;
    info.signature = *manifest.method("forward");
  }

  Manifest manifest = test::classifier_manifest({"dark", "bright"}, 4);
  ModelInfo info;
  FakeEngine engine;
  std::unique_ptr<Task> task = make_task(manifest, test::no_assets, 0);
  Pipeline pipeline{engine, *task, &manifest, manifest.method("forward"), {"mean"}, "spot"};
};

template <typename Model>
std::shared_ptr<const Served> served(Crew& crew, std::shared_ptr<Model> model, ServingOptions options = {}) {
  Loaded loaded{.owner = model, .info = &model->info, .engine = &model->engine, .pipeline = &model->pipeline};
  return std::make_shared<const Served>("spot", 1, std::move(loaded), options, crew);
}

/// 4 wide, 3 high; black but for the pixel.
Input picture() {
  Tensor image = Tensor::zeros(DType::kUInt8, {3, 4, 3});
  auto* at = static_cast<std::uint8_t*>(image.mutable_data()) + 3 * (4 + 2);
  at[0] = at[1] = at[2] = 255;
  return Input::tensor(image);
}

using Explained = std::variant<Explanation, Error>;

struct Asked {
  std::promise<Explained> promise;
  std::shared_ptr<Explainer> explainer;

  void start(const std::shared_ptr<const Served>& model, const ExplainOptions& options = {}) {
    explainer = Explainer::start(model, picture(), options, [this](Explained what) { promise.set_value(std::move(what)); });
  }
  Explained get() { return promise.get_future().get(); }
};

TEST(Explainer, FindsThePixelThatCounts) {
  Crew crew(2);
  const auto spot = std::make_shared<Spot>();
  const auto model = served(crew, spot);
  Asked asked;
  asked.start(model);
  const auto made = std::get<Explanation>(asked.get());
  EXPECT_EQ(made.label, "bright");
  EXPECT_EQ(made.probability, 1);
  EXPECT_EQ(made.grid.rows, 3);
  EXPECT_EQ(made.grid.columns, 4);
  std::vector<float> expected(12, 0);
  expected[6] = 1 - 1.0F / 12;  // the mean's colour takes its place
  ASSERT_EQ(made.drops.size(), 12U);
  for (std::size_t k = 0; k < 12; ++k) EXPECT_FLOAT_EQ(made.drops[k], expected[k]) << k;
  // The picture as it is, then three full batches: all through the batcher.
  EXPECT_EQ(model->counters().samples.load(), 13U);
  std::int64_t rows = 0;
  for (const Dims& shape : spot->engine.forwards) {
    EXPECT_LE(shape[0], 4);
    rows += shape[0];
  }
  EXPECT_EQ(rows, 13);
}

TEST(Explainer, TakesTheClassThatIsAskedFor) {
  Crew crew(1);
  const auto model = served(crew, std::make_shared<Spot>());
  Asked asked;
  asked.start(model, {.label = "dark"});
  const auto made = std::get<Explanation>(asked.get());
  EXPECT_EQ(made.label, "dark");
  EXPECT_EQ(made.probability, 0);
  EXPECT_FLOAT_EQ(made.drops[6], -(1 - 1.0F / 12));
  Asked other;
  expect_error([&] { other.start(model, {.label = "no such"}); }, ErrorCode::kInvalidArgument, "spot has no label \"no such\"");
}

TEST(Explainer, OtherTasksHaveNone) {
  Crew crew(1);
  const auto doubler = std::make_shared<test::Doubler>();
  Asked asked;
  expect_error([&] { asked.start(served(crew, doubler)); }, ErrorCode::kInvalidArgument, "no explanation for task tensor");
}

TEST(Explainer, NothingBeginsAfterItsDeadline) {
  Crew crew(1);
  const auto spot = std::make_shared<Spot>();
  const auto model = served(crew, spot);
  Asked asked;
  asked.start(model, {.deadline = Clock::now() - std::chrono::seconds(1)});
  EXPECT_EQ(std::get<Error>(asked.get()).code(), ErrorCode::kDeadlineExceeded);
  EXPECT_TRUE(spot->engine.forwards.empty());
}

TEST(Explainer, EndsWhereItIsCancelled) {
  Crew crew(1);
  Gate gate;
  const auto spot = std::make_shared<Spot>([&] { gate.pass(); });
  const auto model = served(crew, spot);
  Asked asked;
  asked.start(model);
  gate.wait_for(1);
  asked.explainer->cancel();
  gate.open();
  EXPECT_EQ(std::get<Error>(asked.get()).code(), ErrorCode::kCancelled);
  EXPECT_EQ(spot->engine.forwards.size(), 1U);
  EXPECT_EQ(model->batcher().waiting(), 0);
}

TEST(Explainer, NoMoreWaitThanABatchHolds) {
  Crew crew(1);
  std::atomic<std::int64_t> most = 0;
  std::weak_ptr<const Served> watched;
  const auto spot = std::make_shared<Spot>([&] {
    if (const auto model = watched.lock()) most = std::max(most.load(), model->batcher().waiting());
  });
  const auto model = served(crew, spot);
  watched = model;
  Asked asked;
  asked.start(model);
  EXPECT_TRUE(std::holds_alternative<Explanation>(asked.get()));
  EXPECT_LE(most.load(), 4);
}

TEST(Explainer, IsRefusedWhereTooManyWait) {
  Crew crew(1);
  Gate gate;
  const auto spot = std::make_shared<Spot>([&] { gate.pass(); });
  const auto model = served(crew, spot, {.batching = {.max_waiting = 2}});
  Asked first;
  first.start(model);
  gate.wait_for(1);
  gate.open();
  EXPECT_EQ(std::get<Error>(first.get()).code(), ErrorCode::kOverloaded);  // of its own four, two are too many
  while (model->batcher().waiting() > 0) std::this_thread::yield();  // the other two, which hold the model until their turn comes
}

}  // namespace
}  // namespace portfire::serving
