#include "tasks/occlusion.h"

#include <gtest/gtest.h>

#include "../archive/expect_error.h"

namespace portfire {
namespace {

using test::expect_error;

std::pair<std::int64_t, std::int64_t> grid_of(const Dims& shape) {
  const PatchGrid grid = patch_grid(Tensor::zeros(DType::kFloat32, shape), "m");
  return {grid.rows, grid.columns};
}

TEST(PatchGrid, IsAtMost14Across) {
  EXPECT_EQ(grid_of({1, 8, 8}), std::pair(8L, 8L));
  EXPECT_EQ(grid_of({1, 28, 28}), std::pair(14L, 14L));
  EXPECT_EQ(grid_of({3, 224, 160}), std::pair(14L, 14L));
  EXPECT_EQ(grid_of({3, 30, 1}), std::pair(10L, 1L));  // patches of three rows
  EXPECT_EQ(grid_of({3, 15, 29}), std::pair(8L, 10L));  // the last of each row is cut off
}

TEST(PatchGrid, IsOfPicturesAlone) {
  for (const Dims& shape : {Dims{8, 8}, Dims{224, 224, 3}, Dims{1, 3, 8, 8}, Dims{1, 0, 8}, Dims{}}) {
    expect_error([&] { (void)patch_grid(Tensor::zeros(DType::kFloat32, shape), "digits"); }, ErrorCode::kUnsupported, "digits: preprocess gave float32");
  }
  expect_error([] { (void)patch_grid(Tensor::zeros(DType::kUInt8, {1, 8, 8}), "m"); }, ErrorCode::kUnsupported, "uint8 [1, 8, 8]");
}

TEST(Patches, ArePaintedWithTheMeanOfEachChannel) {
  std::vector<float> values(2 * 15 * 2, 1);
  for (std::size_t k = 30; k < 60; ++k) values[k] = k % 2 == 0 ? 10 : 20;
  const Tensor picture = Tensor::copy_of(values, {2, 15, 2});
  const std::vector<float> colour = mean_colour(picture);
  EXPECT_EQ(colour, (std::vector<float>{1, 15}));
  const PatchGrid grid = patch_grid(picture, "m");
  ASSERT_EQ(grid.rows, 8);
  ASSERT_EQ(grid.columns, 2);
  std::vector<float> expected = values;
  for (std::size_t y = 2; y < 4; ++y) expected[30 + 2 * y + 1] = 15;  // the second row of patches, its second
  EXPECT_EQ(without_patch(picture, grid, 3, colour), Tensor::copy_of(expected, {2, 15, 2}));
  expected = values;
  expected[30 + 2 * 14] = 15;  // the last row has one pixel left
  EXPECT_EQ(without_patch(picture, grid, 14, colour), Tensor::copy_of(expected, {2, 15, 2}));
  EXPECT_EQ(picture, Tensor::copy_of(values, {2, 15, 2}));
}

TEST(Words, LieBetweenWhiteSpace) {
  const std::string text = "  d\xc3\xa9j\xc3\xa0 vu,\t\n\xe6\xbc\xa2\xe5\xad\x97 ";
  const std::vector<Word> words = words_of(text);
  ASSERT_EQ(words.size(), 3U);
  EXPECT_EQ(words[0].text, "d\xc3\xa9j\xc3\xa0");
  EXPECT_EQ(words[1].text, "vu,");
  EXPECT_EQ(words[2].text, "\xe6\xbc\xa2\xe5\xad\x97");
  for (const Word& word : words) EXPECT_EQ(text.substr(word.start, word.end - word.start), word.text);
  EXPECT_TRUE(words_of("").empty());
  EXPECT_TRUE(words_of(" \n").empty());
}

TEST(Words, AreLeftOutWithTheirSpace) {
  const std::string text = "one two  three";
  const std::vector<Word> words = words_of(text);
  EXPECT_EQ(without_word(text, words[0]), "two  three");
  EXPECT_EQ(without_word(text, words[1]), "one  three");
  EXPECT_EQ(without_word(text, words[2]), "one two");
  EXPECT_EQ(without_word(" alone ", words_of(" alone ")[0]), "");
}

}  // namespace
}  // namespace portfire
