#include "tasks/generation/state.h"

#include <gtest/gtest.h>

#include <utility>

namespace portfire {
namespace {

TensorSpec spec_of(const std::vector<std::pair<std::int64_t, std::string>>& axes) {
  TensorSpec spec;
  for (const auto& [size, symbol] : axes) spec.shape.push_back({.size = size, .symbol = symbol});
  return spec;
}

const std::vector<TensorSpec> kSpecs{spec_of({{2, ""}, {-1, "N"}, {-1, "T"}, {3, ""}}), spec_of({{-1, "N"}, {4, ""}})};

float* at(const Tensor& tensor, std::int64_t element) { return const_cast<float*>(static_cast<const float*>(tensor.data())) + element; }

TEST(GenerationState, HasARowForEachTextAndRoomForTokens) {
  const GenerationState state(kSpecs, 5, 7);
  const std::vector<Tensor> all = state.view(0, 5, 7);
  EXPECT_EQ(all[0].shape(), (Dims{2, 5, 7, 3}));
  EXPECT_EQ(all[1].shape(), (Dims{5, 4}));
}

TEST(GenerationState, AViewIsTheSameMemory) {
  const GenerationState state(kSpecs, 5, 7);
  const std::vector<Tensor> some = state.view(2, 2, 4);
  EXPECT_EQ(some[0].shape(), (Dims{2, 2, 4, 3}));
  EXPECT_EQ(some[0].strides(), state.view(0, 5, 7)[0].strides());
  *at(some[0], 0) = 8;  // layer 0, text 2, token 0
  *at(some[1], 1) = 9;
  EXPECT_EQ(*at(state.view(0, 5, 7)[0], 2 * 7 * 3), 8);
  EXPECT_EQ(*at(state.view(0, 5, 7)[1], 2 * 4 + 1), 9);
}

TEST(GenerationState, ATextTakesTheStateOfAnother) {
  GenerationState state(kSpecs, 3, 2);
  const std::vector<Tensor> all = state.view(0, 3, 2);
  for (std::int64_t k = 0; k < all[0].numel(); ++k) *at(all[0], k) = static_cast<float>(k);
  *at(all[1], 2 * 4) = 5;
  state.copy(2, 0, 2);
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    for (std::int64_t k = 0; k < 6; ++k) {
      EXPECT_EQ(*at(all[0], layer * 18 + k), static_cast<float>(layer * 18 + 12 + k));
      EXPECT_EQ(*at(all[0], layer * 18 + 6 + k), static_cast<float>(layer * 18 + 6 + k)) << "text 1 stays";
    }
  }
  EXPECT_EQ(*at(all[1], 0), 5);
}

TEST(GenerationState, OnlyTheTokensThatWereSeenAreCopied) {
  for (const auto& specs : {std::vector{spec_of({{-1, "N"}, {2, ""}, {-1, "T"}})}, std::vector{spec_of({{-1, "T"}, {-1, "N"}, {2, ""}})}}) {
    GenerationState state(specs, 2, 3);
    const Tensor all = state.view(0, 2, 3)[0];
    const bool rows_first = specs[0].shape[0].symbol == "N";
    const auto element = [&](std::int64_t row, std::int64_t channel, std::int64_t token) { return at(all, rows_first ? row * 6 + channel * 3 + token : token * 4 + row * 2 + channel); };
    for (std::int64_t k = 0; k < 12; ++k) *at(all, k) = static_cast<float>(k + 1);
    const std::vector<float> before(at(all, 0), at(all, 12));
    state.copy(0, 1, 2);
    for (std::int64_t channel = 0; channel < 2; ++channel) {
      for (std::int64_t token = 0; token < 2; ++token) EXPECT_EQ(*element(1, channel, token), *element(0, channel, token));
      EXPECT_EQ(*element(1, channel, 2), before[static_cast<std::size_t>(element(1, channel, 2) - at(all, 0))]);
    }
  }
}

TEST(GenerationState, BeginningForgetsWhatHasNoPlaces) {
  GenerationState state(kSpecs, 2, 2);
  const std::vector<Tensor> all = state.view(0, 2, 2);
  for (const Tensor& part : all) {
    for (std::int64_t k = 0; k < part.numel(); ++k) *at(part, k) = 1;
  }
  state.begin(1);
  for (std::int64_t k = 0; k < 8; ++k) EXPECT_EQ(*at(all[1], k), k < 4 ? 1 : 0);
  for (std::int64_t k = 0; k < all[0].numel(); ++k) EXPECT_EQ(*at(all[0], k), 1) << "tokens that are not seen yet are hidden by the model";
  state.clear(0);
  for (std::int64_t k = 0; k < all[0].numel(); ++k) EXPECT_EQ(*at(all[0], k), k % 12 < 6 ? 0 : 1) << k;
}

TEST(GenerationState, SaysWhatATextTakes) { EXPECT_EQ(GenerationState::row_bytes(kSpecs, 10), 4 * (2 * 10 * 3 + 4)); }

}  // namespace
}  // namespace portfire
