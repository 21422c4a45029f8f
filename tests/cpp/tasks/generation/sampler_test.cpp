#include "tasks/generation/sampler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "../../archive/expect_error.h"

namespace portfire {
namespace {

using test::expect_error;

constexpr float kNever = -std::numeric_limits<float>::infinity();
using Floats = std::vector<float>;

Floats processed(const GenerateOptions& options, const Floats& logits, const std::vector<std::int64_t>& prompt = {}) {
  return Sampler(options, prompt, 0).processed(logits);
}

TEST(Sampler, TakesTheLikeliestWithoutATemperature) {
  Sampler sampler({}, {}, 0);
  const Sampler::Choice choice = sampler.next(Floats{0, 2, 1});
  EXPECT_EQ(choice.id, 1);
  EXPECT_NEAR(choice.log_probability, 2 - std::log(1 + std::exp(1.0) + std::exp(2.0)), 1e-6);
  EXPECT_EQ(sampler.next(Floats{5, 5, 1}).id, 0) << "the first of equals";
}

TEST(Sampler, TopKKeepsWhatIsEqualToTheLast) {
  EXPECT_EQ(processed({.temperature = 1, .top_k = 2}, {1, 3, 2, 2}), (Floats{kNever, 3, 2, 2}));
  EXPECT_EQ(processed({.temperature = 2, .top_k = 9}, {1, 3}), (Floats{0.5F, 1.5F}));
}

TEST(Sampler, TopPKeepsTheLikeliestThatReachIt) {
  const Floats logits{std::log(0.5F), std::log(0.3F), std::log(0.2F)};
  EXPECT_EQ(processed({.temperature = 1, .top_p = 0.75}, logits), (Floats{logits[0], logits[1], kNever}));
  EXPECT_EQ(processed({.temperature = 1, .top_p = 0.45}, logits), (Floats{logits[0], kNever, kNever}));
  EXPECT_EQ(processed({.temperature = 1, .top_p = 1e-9}, logits), (Floats{logits[0], kNever, kNever})) << "one always stays";
}

TEST(Sampler, TopPLooksAtWhatTopKLeft) {
  const Floats logits{std::log(0.4F), std::log(0.35F), std::log(0.25F)};
  // Of the two that top-k leaves the first has 0.4 / 0.75 = 0.53.
  EXPECT_EQ(processed({.temperature = 1, .top_k = 2, .top_p = 0.5}, logits), (Floats{logits[0], kNever, kNever}));
}

TEST(Sampler, MinPIsAShareOfTheLikeliest) {
  const Floats logits{std::log(0.6F), std::log(0.3F), std::log(0.1F)};
  EXPECT_EQ(processed({.temperature = 1, .min_p = 0.4}, logits), (Floats{logits[0], logits[1], kNever}));
}

/// tests/data/sampling/make_sampling.py says where these come from.
TEST(Sampler, LeavesWhatTransformersLeaves) {
  const nlohmann::json whole = nlohmann::json::parse(std::ifstream(PORTFIRE_TEST_DATA "/sampling/processors.json"));
  ASSERT_GT(whole["cases"].size(), 40U);
  for (const nlohmann::json& one : whole["cases"]) {
    SCOPED_TRACE(one.dump());
    const GenerateOptions options{.temperature = one["temperature"], .top_k = one["top_k"], .top_p = one["top_p"],
                                  .min_p = one["min_p"], .repetition_penalty = one["repetition_penalty"]};
    Floats scores = processed(options, one["logits"].get<Floats>(), one["prompt"]);
    Floats wanted;
    for (const nlohmann::json& score : one["scores"]) wanted.push_back(score.is_null() ? kNever : score.get<float>());
    // Which of equals stays at the edge of top-p is left to torch's sort, which keeps no order.
    std::sort(scores.begin(), scores.end());
    std::sort(wanted.begin(), wanted.end());
    EXPECT_THAT(scores, ::testing::Pointwise(::testing::FloatEq(), wanted));
  }
}

TEST(Sampler, OfEqualsAtTheEdgeOfTopPTheFirstStay) {
  EXPECT_EQ(processed({.temperature = 1, .top_p = 0.5}, {1, 1, 1, 1}), (Floats{1, 1, kNever, kNever}));
}

TEST(Sampler, RepetitionPenaltyCountsEachTokenOnce) {
  EXPECT_EQ(processed({.repetition_penalty = 2}, {4, -4, 4}, {0, 1, 1}), (Floats{2, -8, 4}));
}

TEST(Sampler, FrequencyPenaltyCountsTheTextAlone) {
  const GenerateOptions options{.frequency_penalty = 1.5};
  const std::vector<std::int64_t> prompt{2, 2};
  Sampler sampler(options, prompt, 0);
  EXPECT_EQ(sampler.next(Floats{5, 0, 4}).id, 0);
  EXPECT_EQ(sampler.next(Floats{5, 0, 4}).id, 2) << "3.5 against 4";
  EXPECT_EQ(sampler.processed(Floats{5, 0, 4}), (Floats{3.5F, 0, 2.5F}));
}

TEST(Sampler, DrawsAsTheProbabilitiesSay) {
  Sampler sampler({.temperature = 1}, {}, 0);
  const Floats logits{std::log(0.5F), std::log(0.3F), std::log(0.2F)};
  constexpr int kDraws = 20000;
  std::array<int, 3> count{};
  for (int k = 0; k < kDraws; ++k) ++count[static_cast<std::size_t>(sampler.next(logits).id)];
  // Five standard deviations of the widest: sqrt(0.25 * 20000) = 71.
  EXPECT_NEAR(count[0], 0.5 * kDraws, 354);
  EXPECT_NEAR(count[1], 0.3 * kDraws, 354);
  EXPECT_NEAR(count[2], 0.2 * kDraws, 354);
}

TEST(Sampler, NeverDrawsWhatIsLeftOut) {
  Sampler sampler({.temperature = 5, .top_k = 1}, {}, 0);
  for (int k = 0; k < 200; ++k) EXPECT_EQ(sampler.next(Floats{0, 0.1F, 0}).id, 1);
}

TEST(Sampler, ASeedGivesOneTextAndNumbersOthers) {
  const auto draws = [](std::uint64_t seed, std::uint64_t number) {
    Sampler sampler({.temperature = 1, .seed = seed}, {}, number);
    std::vector<std::int64_t> ids;
    for (int k = 0; k < 20; ++k) ids.push_back(sampler.next(Floats(50, 0.0F)).id);
    return ids;
  };
  EXPECT_EQ(draws(7, 0), draws(7, 0));
  EXPECT_NE(draws(7, 0), draws(8, 0));
  EXPECT_NE(draws(7, 0), draws(7, 1));
}

TEST(Sampler, RefusesLogitsThatAreNoNumbers) {
  Sampler sampler({}, {}, 0);
  expect_error([&] { (void)sampler.next(Floats{std::nanf(""), 1}); }, ErrorCode::kInvalidPackage, "the model gave logits that are no numbers");
  expect_error([&] { (void)sampler.next(Floats{kNever, kNever}); }, ErrorCode::kInvalidPackage, "the model gave logits that are no numbers");
}

TEST(GenerateOptions, AreCheckedOneByOne) {
  const auto refused = [](const GenerateOptions& options, const std::string& message) {
    expect_error([&] { check_options(options); }, ErrorCode::kInvalidArgument, message);
  };
  refused({.max_new_tokens = 0}, "max_new_tokens is 0; at least 1");
  refused({.temperature = -1}, "temperature is -1; 0 (the likeliest token), or 1e-06 to 1e+06");
  refused({.temperature = 1, .top_k = -1}, "top_k is -1; 0 (all) or more");
  refused({.temperature = 1, .top_p = 0}, "top_p is 0; above 0 and at most 1");
  refused({.temperature = 1, .top_p = 1.5}, "top_p is 1.5; above 0 and at most 1");
  refused({.temperature = 1, .min_p = 1.5}, "min_p is 1.5; 0 to 1");
  refused({.temperature = 1e-50}, "temperature is 1e-50; 0 (the likeliest token), or 1e-06 to 1e+06");
  refused({.frequency_penalty = 1e300}, "frequency_penalty is 1e+300; -1e+06 to 1e+06");
  refused({.repetition_penalty = 0}, "repetition_penalty is 0; 1e-06 to 1e+06");
  refused({.num_sequences = 2}, "num_sequences is 2 with temperature 0: they would all be the same");
  refused({.num_sequences = 0}, "num_sequences is 0; 1 to 64");
  refused({.top_k = 5}, "top_k, top_p and min_p are for drawing; set a temperature above 0 too");
  refused({.stop = {""}}, "a stop string is empty");
  check_options({.temperature = 0.8, .top_k = 40, .top_p = 0.9, .num_sequences = 3});
}

}  // namespace
}  // namespace portfire
