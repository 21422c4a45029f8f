#include "tasks/occlusion.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {
namespace {

constexpr std::int64_t kMostAcross = 14;
constexpr std::int64_t kMostChannels = 4;

std::int64_t divided_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

PatchGrid patch_grid(const Tensor& picture, const std::string& model) {
  const Dims& shape = picture.shape();
  if (picture.dtype() != DType::kFloat32 || shape.size() != 3 || shape[0] > kMostChannels || picture.numel() == 0) {
    throw Error(ErrorCode::kUnsupported, cat(model, ": preprocess gave ", picture.to_string(0), "; patches are hidden of float32 [C, H, W] with at most ", kMostChannels, " channels"));
  }
  PatchGrid grid;
  grid.patch_height = divided_up(shape[1], kMostAcross);
  grid.patch_width = divided_up(shape[2], kMostAcross);
  grid.rows = divided_up(shape[1], grid.patch_height);
  grid.columns = divided_up(shape[2], grid.patch_width);
  return grid;
}

std::vector<float> mean_colour(const Tensor& picture) {
  const Tensor plain = picture.contiguous();
  const auto values = plain.values<float>();
  const auto channels = static_cast<std::size_t>(plain.shape()[0]);
  const std::size_t pixels = values.size() / channels;
  std::vector<float> colour;
  for (std::size_t c = 0; c < channels; ++c) {
    const auto channel = values.subspan(c * pixels, pixels);
    colour.push_back(static_cast<float>(std::accumulate(channel.begin(), channel.end(), 0.0) / static_cast<double>(pixels)));
  }
  return colour;
}

Tensor without_patch(const Tensor& picture, const PatchGrid& grid, std::int64_t index, const std::vector<float>& colour) {
  const Tensor plain = picture.contiguous();
  const std::int64_t height = plain.shape()[1];
  const std::int64_t width = plain.shape()[2];
  const std::int64_t top = index / grid.columns * grid.patch_height;
  const std::int64_t left = index % grid.columns * grid.patch_width;
  Tensor hidden = Tensor::zeros(DType::kFloat32, plain.shape());
  auto* values = static_cast<float*>(hidden.mutable_data());
  std::memcpy(values, plain.data(), plain.nbytes());
  for (std::size_t c = 0; c < colour.size(); ++c) {
    for (std::int64_t y = top; y < std::min(top + grid.patch_height, height); ++y) {
      float* row = values + (static_cast<std::int64_t>(c) * height + y) * width;
      std::fill(row + left, row + std::min(left + grid.patch_width, width), colour[c]);
    }
  }
  return hidden;
}

std::vector<Word> words_of(std::string_view text) {
  std::vector<Word> words;
  for (std::size_t k = 0; k < text.size();) {
    const std::size_t start = k;
    while (k < text.size() && !is_space(text[k])) ++k;
    if (k > start) words.push_back({.text = std::string(text.substr(start, k - start)), .start = start, .end = k});
    while (k < text.size() && is_space(text[k])) ++k;
  }
  return words;
}

std::string without_word(std::string_view text, const Word& word) {
  std::size_t first = word.start;
  while (first > 0 && is_space(text[first - 1])) --first;
  std::size_t after = word.end;
  while (first == 0 && after < text.size() && is_space(text[after])) ++after;
  return cat(text.substr(0, first), text.substr(after));
}

}  // namespace portfire
