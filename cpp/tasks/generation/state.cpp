#include "tasks/generation/state.h"

#include <algorithm>
#include <cstring>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {
namespace {

/// A part of a tensor, which it keeps alive.
Tensor part_of(const Tensor& whole, const Dims& shape, std::int64_t first_element) {
  const std::size_t item = size_of(whole.dtype());
  auto* data = const_cast<std::byte*>(static_cast<const std::byte*>(whole.data())) + static_cast<std::size_t>(first_element) * item;
  return Tensor::external({.data = data, .dtype = whole.dtype(), .shape = shape, .strides = whole.strides(), .device = {},
                           .release = [](void* context) { delete static_cast<Tensor*>(context); }, .context = new Tensor(whole)});
}

}  // namespace

GenerationState::GenerationState(std::span<const TensorSpec> specs, std::int64_t rows, std::int64_t length) {
  for (const TensorSpec& spec : specs) {
    Part part;
    std::vector<std::int64_t> sizes;
    for (std::size_t axis = 0; axis < spec.shape.size(); ++axis) {
      const Dimension& dimension = spec.shape[axis];
      if (dimension.symbol == "N") part.row_axis = axis;
      if (dimension.symbol == "T") part.length_axis = static_cast<std::int64_t>(axis);
      sizes.push_back(dimension.symbol == "N" ? rows : dimension.symbol == "T" ? length : dimension.size);
    }
    part.tensor = Tensor::zeros(spec.dtype, Dims(std::span<const std::int64_t>(sizes)));
    parts_.push_back(std::move(part));
  }
}

std::vector<Tensor> GenerationState::view(std::int64_t first, std::int64_t rows, std::int64_t length) const {
  std::vector<Tensor> views;
  for (const Part& part : parts_) {
    Dims shape = part.tensor.shape();
    shape[part.row_axis] = rows;
    if (part.length_axis >= 0) shape[static_cast<std::size_t>(part.length_axis)] = length;
    views.push_back(part_of(part.tensor, shape, first * part.tensor.strides()[part.row_axis]));
  }
  return views;
}

void GenerationState::copy(std::int64_t from, std::int64_t to) {
  for (const Part& part : parts_) {
    const Dims& shape = part.tensor.shape();
    const auto row = static_cast<std::size_t>(part.tensor.strides()[part.row_axis]) * size_of(part.tensor.dtype());
    std::size_t outer = 1;
    for (std::size_t axis = 0; axis < part.row_axis; ++axis) outer *= static_cast<std::size_t>(shape[axis]);
    const std::size_t step = row * static_cast<std::size_t>(shape[part.row_axis]);
    auto* data = const_cast<std::byte*>(static_cast<const std::byte*>(part.tensor.data()));
    for (std::size_t k = 0; k < outer; ++k) {
      std::byte* block = data + k * step;
      std::memcpy(block + static_cast<std::size_t>(to) * row, block + static_cast<std::size_t>(from) * row, row);
    }
  }
}

}  // namespace portfire
