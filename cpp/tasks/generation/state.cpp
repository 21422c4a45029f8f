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

template <class Act>
void GenerationState::Part::each_piece(std::int64_t row, std::int64_t length, Act act) const {
  Dims shape = tensor.shape();
  shape[row_axis] = 1;
  if (length_axis >= 0) shape[static_cast<std::size_t>(length_axis)] = length;
  const std::size_t inner = std::max(row_axis, length_axis >= 0 ? static_cast<std::size_t>(length_axis) : 0);  // whole from here on
  const std::size_t item = size_of(tensor.dtype());
  const std::size_t piece = static_cast<std::size_t>(shape[inner] * tensor.strides()[inner]) * item;
  std::vector<std::int64_t> index(inner, 0);
  for (;;) {
    std::int64_t offset = row * tensor.strides()[row_axis];
    for (std::size_t axis = 0; axis < inner; ++axis) offset += index[axis] * tensor.strides()[axis];
    act(static_cast<std::size_t>(offset) * item, piece);
    std::size_t axis = inner;
    while (axis > 0 && ++index[axis - 1] == shape[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

void GenerationState::copy(std::int64_t from, std::int64_t to, std::int64_t length) {
  if (from == to) return;
  for (Part& part : parts_) {
    auto* data = static_cast<std::byte*>(part.tensor.mutable_data());
    const std::int64_t step = (to - from) * part.tensor.strides()[part.row_axis] * static_cast<std::int64_t>(size_of(part.tensor.dtype()));
    part.each_piece(from, length, [&](std::size_t offset, std::size_t size) { std::memcpy(data + offset + step, data + offset, size); });
  }
}

void GenerationState::begin(std::int64_t row) {
  for (Part& part : parts_) {
    if (part.length_axis < 0) part.clear(row);
  }
}

void GenerationState::clear(std::int64_t row) {
  for (Part& part : parts_) part.clear(row);
}

void GenerationState::Part::clear(std::int64_t row) {
  auto* data = static_cast<std::byte*>(tensor.mutable_data());
  const std::int64_t length = length_axis < 0 ? 0 : tensor.shape()[static_cast<std::size_t>(length_axis)];
  each_piece(row, length, [&](std::size_t offset, std::size_t size) { std::memset(data + offset, 0, size); });
}

std::int64_t GenerationState::row_bytes(std::span<const TensorSpec> specs, std::int64_t length) {
  std::int64_t all = 0;
  for (const TensorSpec& spec : specs) {
    auto bytes = static_cast<std::int64_t>(size_of(spec.dtype));
    for (const Dimension& dimension : spec.shape) bytes *= dimension.symbol == "N" ? 1 : dimension.symbol == "T" ? length : dimension.size;
    all += bytes;
  }
  return all;
}

}  // namespace portfire
