#include "serving/drift.h"

#include <gtest/gtest.h>

#include <cmath>
#include <future>
#include <limits>
#include <numeric>

#include "doubler.h"
#include "serving/batcher.h"

namespace portfire::serving {
namespace {

using test::Doubler;

using Floats = std::vector<float>;

Quantity mean_of(std::int64_t place, std::int64_t channel, std::vector<double> edges) {
  Quantity made{.measure = Measure::kMean, .input = "x", .place = place, .channel = channel, .edges = std::move(edges)};
  made.counts.assign(made.edges.size() + 1, 10);
  return made;
}

Quantity spread_of(std::int64_t channel, std::vector<double> edges) {
  Quantity made = mean_of(0, channel, std::move(edges));
  made.measure = Measure::kSpread;
  return made;
}

Manifest manifest_of(std::vector<Dimension> shape, std::vector<std::string> labels = {}) {
  Manifest made = Doubler::described();
  made.methods[0].inputs[0].shape = std::move(shape);
  made.labels = std::move(labels);
  return made;
}

const Dimension kN{.size = -1, .symbol = "N"};
const test::FakeEngine kEngine({});

TEST(PopulationStabilityIndex, IsNoughtForTheSameAndGreatForOthers) {
  const std::vector<std::int64_t> expected{100, 100, 100, 100};
  EXPECT_NEAR(population_stability_index(expected, std::vector<std::uint64_t>{100, 100, 100, 100}), 0, 1e-12);
  // By hand, without the half samples: (0.4 - 0.25) ln 1.6 + 2 (0.1 - 0.25) ln 0.4 + (0.4 - 0.25) ln 1.6.
  EXPECT_NEAR(population_stability_index(expected, std::vector<std::uint64_t>{4000, 1000, 1000, 4000}), 0.4159, 0.001);
  EXPECT_GT(population_stability_index(expected, std::vector<std::uint64_t>{0, 0, 0, 400}), 2);
  const double empty = population_stability_index(std::vector<std::int64_t>{400, 0}, std::vector<std::uint64_t>{0, 200});
  EXPECT_TRUE(std::isfinite(empty));
  EXPECT_GT(empty, 10);
}

TEST(Drift, MeasuresChannelsAndTheWhole) {
  const Drift drift({{mean_of(0, -1, {0}), spread_of(-1, {0}), mean_of(0, 1, {0}), spread_of(1, {0})}}, manifest_of({kN, {2, ""}, {2, ""}}), kEngine);
  const Tensor sample = Tensor::copy_of(Floats{0, 0, 1, 3}, {2, 2});
  EXPECT_EQ(drift.of_sample({}, {&sample, 1}), (Drift::Values{1, std::sqrt(1.5), 2, 1}));
  const Tensor batch = Tensor::copy_of(Floats{0, 0, 1, 3, 5, 5, 7, 7}, {2, 2, 2});
  EXPECT_EQ(drift.of_batch({&batch, 1}), (Drift::Values{1, std::sqrt(1.5), 2, 1, 6, 1, 7, 0}));
}

TEST(Drift, MeasuresEveryDtypeAndNoElements) {
  const Drift drift({{mean_of(0, -1, {0})}}, manifest_of({kN, {2, ""}}), kEngine);
  const auto value = [&](const Tensor& tensor) { return drift.of_batch({&tensor, 1}); };
  EXPECT_EQ(value(Tensor::copy_of(std::vector<std::int64_t>{1, 2}, {1, 2})), Drift::Values{1.5});
  EXPECT_EQ(value(Tensor::copy_of(std::vector<std::int32_t>{1, 2}, {1, 2})), Drift::Values{1.5});
  EXPECT_EQ(value(Tensor::copy_of(std::vector<std::int16_t>{1, 2}, {1, 2})), Drift::Values{1.5});
  EXPECT_EQ(value(Tensor::copy_of(std::vector<std::int8_t>{-1, 2}, {1, 2})), Drift::Values{0.5});
  EXPECT_EQ(value(Tensor::copy_of(std::vector<std::uint8_t>{1, 255}, {1, 2})), Drift::Values{128});
  EXPECT_EQ(value(Tensor::copy_of(std::vector<double>{1, 2}, {1, 2})), Drift::Values{1.5});
  for (const DType dtype : {DType::kBool, DType::kFloat16, DType::kBFloat16}) EXPECT_EQ(value(Tensor::zeros(dtype, {1, 2})), Drift::Values{0});
  EXPECT_TRUE(value(Tensor::zeros(DType::kFloat32, {0, 2})).empty());
  EXPECT_TRUE(std::isnan(value(Tensor::zeros(DType::kFloat32, {1, 0})).at(0)));
}

TEST(Drift, LooksAtSomeOfManyElementsAndRowsAndNotAlongAColumn) {
  const Drift drift({{mean_of(0, -1, {0}), spread_of(-1, {0})}}, manifest_of({kN, {-1, "H"}, {-1, "W"}}), kEngine);
  // Left half 0, right half 1, of sides at which even steps would be whole rows.
  for (const std::int64_t side : {256, 512, 300}) {
    Floats half(static_cast<std::size_t>(side * side));
    for (std::int64_t k = 0; k < side * side; ++k) half[static_cast<std::size_t>(k)] = k % side < side / 2 ? 0.0F : 1.0F;
    const Tensor picture = Tensor::copy_of(half, {side, side});
    const Drift::Values values = drift.of_sample({}, {&picture, 1});
    EXPECT_NEAR(values[0], 0.5, 0.05) << side;
    EXPECT_NEAR(values[1], 0.5, 0.05) << side;
  }
  Floats rows(1000);
  std::iota(rows.begin(), rows.end(), 0.0F);
  // The same as in tests/python/test_statistics.py.
  const Tensor one = Tensor::copy_of(rows, {1, 1000});
  const Drift::Values looked = drift.of_sample({}, {&one, 1});
  EXPECT_DOUBLE_EQ(looked[0], 498.06640625);
  EXPECT_DOUBLE_EQ(looked[1], 289.2324694280709);
  const Tensor many = Tensor::copy_of(rows, {1000, 1, 1});
  const Drift::Values values = drift.of_batch({&many, 1});
  ASSERT_EQ(values.size(), 2U * Drift::kMostRows);
  EXPECT_EQ(values.front(), 0);
  EXPECT_GT(values[values.size() - 2], 990);
}

TEST(Drift, MeasuresTexts) {
  Manifest manifest = manifest_of({kN});
  const Quantity tokens{.measure = Measure::kTokens, .edges = {3}, .counts = {1, 1}};
  const Quantity share{.measure = Measure::kTokenShare, .token = 7, .edges = {0.5}, .counts = {1, 1}};
  const Drift drift({{tokens, share}}, manifest, kEngine);
  const Tensor ids = Tensor::copy_of(std::vector<std::int64_t>{7, 1, 7, 2}, {4});
  EXPECT_EQ(drift.of_sample({&ids, 1}, {}), (Drift::Values{4, 0.5}));
  EXPECT_TRUE(std::isnan(drift.of_tokens({})[1]));
  // A picture is none.
  const Tensor picture = Tensor::zeros(DType::kUInt8, {2, 2, 3});
  EXPECT_TRUE(std::isnan(drift.of_sample({&picture, 1}, {})[0]));
}

TEST(Drift, CountsBinsUpToTheirEdge) {
  Drift drift({{mean_of(0, -1, {1, 2})}}, manifest_of({kN}), kEngine);
  const double none = std::numeric_limits<double>::quiet_NaN();
  const double infinite = std::numeric_limits<double>::infinity();
  drift.count({-infinite, 1, 1.5, 2, 2.5, infinite, none});
  EXPECT_EQ(drift.seen()[0].counts, (std::vector<std::uint64_t>{2, 2, 2}));
  EXPECT_EQ(drift.bin_name(drift.quantities()[0], 0), "1");
  EXPECT_EQ(drift.bin_name(drift.quantities()[0], 2), "+Inf");
}

TEST(Drift, TakesTheIndexOfTheLastThousandOnceThereAreEnough) {
  Drift drift({{mean_of(0, -1, {1})}}, manifest_of({kN}), kEngine);
  for (std::size_t k = 0; k + 1 < Drift::kLeast; ++k) drift.count({0});
  EXPECT_FALSE(drift.seen()[0].index.has_value());
  drift.count({0});
  EXPECT_GT(drift.seen()[0].index.value(), 1);
  for (std::size_t k = 0; k < Drift::kWindow / 2; ++k) {
    drift.count({0});
    drift.count({2});
  }
  // What came before these is forgotten, and still counted.
  EXPECT_NEAR(drift.seen()[0].index.value(), 0, 1e-3);
  EXPECT_EQ(drift.seen()[0].counts, (std::vector<std::uint64_t>{Drift::kLeast + Drift::kWindow / 2, Drift::kWindow / 2}));
}

TEST(Drift, CountsTheLikeliestLabel) {
  const Quantity answer{.measure = Measure::kAnswer, .counts = {1, 1, 1}};
  Drift drift({{mean_of(0, -1, {1}), answer}}, manifest_of({kN}, {"a", "b", "c"}), kEngine);
  Drift::Values values = drift.of_batch(std::vector{Tensor::copy_of(Floats{0, 5}, {2})});
  drift.set_answers(values, Tensor::copy_of(Floats{1, 3, 2, 9, 1, 1}, {2, 3}));
  EXPECT_EQ(values, (Drift::Values{0, 1, 5, 0}));
  drift.count(values);
  drift.set_answers(values, Tensor::zeros(DType::kFloat32, {2, 4}));  // no labels
  drift.set_answers(values, Tensor::zeros(DType::kInt64, {2, 3}));
  drift.set_answers(values, Tensor::zeros(DType::kFloat32, {0, 3}));
  EXPECT_EQ(values, (Drift::Values{0, 1, 5, 0}));
  drift.set_answer(values, 2);
  drift.count(values);
  EXPECT_EQ(drift.seen()[1].counts, (std::vector<std::uint64_t>{1, 1, 2}));
  EXPECT_EQ(drift.bin_name(drift.quantities()[1], 2), "c");
}

TEST(Batcher, CountsWhatIsAnsweredAndNothingElse) {
  const auto model = std::make_shared<Doubler>();
  const InputStatistics statistics{{mean_of(0, -1, {1})}};
  Loaded loaded = Doubler::loaded(model);
  Crew crew{1};
  EXPECT_EQ(std::make_shared<Batcher>(loaded, BatchingOptions{}, crew)->drift(), nullptr);
  loaded.statistics = &statistics;
  const auto batcher = std::make_shared<Batcher>(loaded, BatchingOptions{}, crew);
  const auto ask = [&](auto input) {
    const auto job = std::make_shared<Job>();
    job->input = std::move(input);
    const auto answered = std::make_shared<std::promise<bool>>();
    job->done = [answered](const Result& result, const JobTimes&) { answered->set_value(!std::holds_alternative<Error>(result)); };
    batcher->submit(job);
    return answered->get_future().get();
  };
  const auto tensors = [](Tensor x) { return std::vector<NamedTensor>{{"x", std::move(x)}}; };
  EXPECT_TRUE(ask(tensors(Tensor::copy_of(Floats{0, 1, 4, 4}, {2, 2}))));
  EXPECT_TRUE(ask(Input::tensors(tensors(test::row({8})), "raw")));
  EXPECT_EQ(batcher->drift()->seen()[0].counts, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_FALSE(ask(tensors(test::row({-1}))));
  EXPECT_FALSE(ask(Input::tensors(tensors(test::row({-1})), "raw")));
  EXPECT_FALSE(ask(tensors(Tensor::zeros(DType::kInt64, {1, 1}))));
  EXPECT_EQ(batcher->drift()->seen()[0].counts, (std::vector<std::uint64_t>{1, 2}));
}

}  // namespace
}  // namespace portfire::serving
