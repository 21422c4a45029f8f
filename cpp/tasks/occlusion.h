#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <portfire/tensor.h>

/// What a classifier's answer hangs on, found by hiding one piece of its input at a time (Zeiler & Fergus 2014, arXiv:1311.2901; of
/// texts: leave one out): the more the probability falls, the more the piece says. Needs no gradients, so every engine can.
namespace portfire {

/// Patches that lie side by side on a picture, row by row; the last of a row or a column may be cut off.
struct PatchGrid {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t patch_height = 0;  ///< of the picture's pixels
  std::int64_t patch_width = 0;
};

/// Of at most 14 x 14 patches. `picture` is what `preprocess` gives, float32 [C, H, W]; throws kUnsupported on anything else, naming
/// `model`.
PatchGrid patch_grid(const Tensor& picture, const std::string& model);

/// The mean of each channel: the colour that says least.
std::vector<float> mean_colour(const Tensor& picture);

/// A copy of the picture with patch `index` painted over.
Tensor without_patch(const Tensor& picture, const PatchGrid& grid, std::int64_t index, const std::vector<float>& colour);

/// What lies between white space (ASCII's); `start` and `end` are bytes of the text.
struct Word {
  std::string text;
  std::size_t start = 0;
  std::size_t end = 0;
};

std::vector<Word> words_of(std::string_view text);

/// The text without one of its words and the white space before it, or behind the first.
std::string without_word(std::string_view text, const Word& word);

}  // namespace portfire
