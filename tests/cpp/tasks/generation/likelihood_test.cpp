#include "tasks/generation/likelihood.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "../../archive/expect_error.h"

namespace portfire {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(Likelihood, TheExponentialIsThatOfTheStandardLibrary) {
  for (float x = 0; x > -86.9F; x -= 0.00317F) {
    const double exact = std::exp(static_cast<double>(x));
    EXPECT_NEAR(static_cast<double>(exp_below(x)) / exact, 1, 2e-7) << x;
  }
  EXPECT_EQ(exp_below(0), 1);
  EXPECT_LT(exp_below(-kInfinity), 2e-38F);
  EXPECT_TRUE(std::isnan(exp_below(std::nanf(""))));
}

TEST(Likelihood, SumsOfEveryLength) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 6);
  for (const std::size_t size : {1U, 2U, 15U, 16U, 17U, 1023U, 1024U, 1025U, 50257U}) {
    std::vector<float> logits(size);
    for (float& logit : logits) logit = normal(random);
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
    EXPECT_NEAR(log_sum(logits), std::log(sum), 5e-7) << size;
    const std::vector<float> scores = log_softmax(logits);
    EXPECT_NEAR(scores.back(), static_cast<double>(logits.back()) - std::log(sum), 2e-6) << size;
    const std::size_t best = random() % size;
    logits[best] = 100;
    if (best + 1 < size) logits[best + 1] = 100;
    EXPECT_EQ(likeliest(logits), best) << size;
  }
}

TEST(Likelihood, TheLikeliestComeInOrder) {
  const std::vector<float> logits{1, 3, -kInfinity, 3, 2};
  const std::vector<float> all = log_softmax(logits);
  EXPECT_EQ(most_likely(logits, 3), (std::vector<LikelyToken>{{1, all[1]}, {3, all[3]}, {4, all[4]}}));
  EXPECT_EQ(most_likely(logits, 100).size(), 5U);
  EXPECT_EQ(most_likely(logits, 0).size(), 0U);
  test::expect_error([] { (void)most_likely(std::vector<float>{std::nanf("")}, 1); }, ErrorCode::kInvalidPackage, "no numbers");
}

TEST(Likelihood, WhatIsNoNumberIsSaid) {
  const auto refused = [](const std::vector<float>& logits) {
    test::expect_error([&] { (void)log_sum(logits); }, ErrorCode::kInvalidPackage, "the model gave logits that are no numbers");
  };
  for (const std::size_t size : {3U, 40U}) {
    for (const std::size_t place : {std::size_t{0}, size / 2, size - 1}) {
      std::vector<float> logits(size, 1);
      logits[place] = std::nanf("");
      refused(logits);
      logits[place] = kInfinity;
      refused(logits);
    }
    refused(std::vector<float>(size, -kInfinity));
  }
  EXPECT_NEAR(log_sum(std::vector<float>{-kInfinity, 2}), 2, 1e-12);
}

}  // namespace
}  // namespace portfire
