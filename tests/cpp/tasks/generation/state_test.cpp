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
  state.copy(2, 0);
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    for (std::int64_t k = 0; k < 6; ++k) {
      EXPECT_EQ(*at(all[0], layer * 18 + k), static_cast<float>(layer * 18 + 12 + k));
      EXPECT_EQ(*at(all[0], layer * 18 + 6 + k), static_cast<float>(layer * 18 + 6 + k)) << "text 1 stays";
    }
  }
  EXPECT_EQ(*at(all[1], 0), 5);
}

}  // namespace
}  // namespace portfire
