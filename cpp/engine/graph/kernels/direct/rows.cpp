#include "engine/graph/kernels/direct/rows.h"

#include <ATen/EmptyTensor.h>
#include <ATen/Parallel.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace portfire::graph::direct {
namespace {

constexpr std::int64_t kNearBytes = 1 << 17;  // what rows may take of the second cache

}  // namespace

at::Tensor make_empty(at::IntArrayRef sizes, at::MemoryFormat format) {
  return at::Tensor(at::detail::empty_cpu(sizes, at::kFloat, false, format));  // at::empty asks the dispatcher first
}

at::Tensor packed(const at::Tensor& weight) {
  const std::int64_t width = kernels().width;
  const std::int64_t panels = (weight.size(0) + width - 1) / width;
  std::vector<std::int64_t> more(static_cast<std::size_t>(2 * weight.dim()), 0);  // of each axis before and behind, the last axis first
  more.back() = panels * width - weight.size(0);
  const at::Tensor whole = more.back() == 0 ? weight : at::constant_pad_nd(weight, more, 0);
  return whole.unflatten(0, {panels, width}).movedim(1, -1).contiguous().view({panels, -1, width});
}

at::Tensor packed_bias(const at::Tensor& bias, std::int64_t outputs) {
  const std::int64_t width = kernels().width;
  at::Tensor whole = at::zeros({(outputs + width - 1) / width * width}, at::kFloat);
  if (bias.defined()) whole.narrow(0, 0, outputs).copy_(bias);
  return whole;
}

void multiply(const Product& product, std::int64_t rows) {
  const std::int64_t products = product.outputs * product.segments * product.length;
  // As many rows at a time as stay near while they meet the weight, panel for panel.
  const std::int64_t block = std::max<std::int64_t>(kNearBytes / ((product.from.column_step + product.outputs) * static_cast<std::int64_t>(sizeof(float))), 48);
  at::parallel_for(0, rows, std::max<std::int64_t>(1, kProductsOfAThread / products), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; row += block) kernels().multiply(product, row, std::min(row + block, last));
  });
}

at::Tensor padded(const at::Tensor& x, std::int64_t top, std::int64_t left) {
  if (top == 0 && left == 0 && x.is_contiguous(at::MemoryFormat::ChannelsLast)) return x;
  at::Tensor out = make_empty({x.size(0), x.size(2) + 2 * top, x.size(3) + 2 * left, x.size(1)});  // refuses what does not fit a number
  pad_into(out, x, top, left);
  return out;
}

void pad_into(const at::Tensor& out, const at::Tensor& x, std::int64_t top, std::int64_t left) {
  const std::int64_t images = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3);
  const std::int64_t across = x.stride(3), channel = x.stride(1);
  const float* from = x.const_data_ptr<float>();
  const auto clear = [](float* to, std::int64_t count) { std::memset(to, 0, static_cast<std::size_t>(count) * sizeof(float)); };
  const std::int64_t line = (width + 2 * left) * channels;
  const std::int64_t lines = height + 2 * top;
  const bool rows_whole = (channels == 1 || channel == 1) && (width == 1 || across == channels);
  float* const begin = out.mutable_data_ptr<float>();
  constexpr std::int64_t kValuesOfAThread = 1 << 16;
  at::parallel_for(0, images * lines, std::max<std::int64_t>(1, kValuesOfAThread / line), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t k = first; k < last; ++k) {
      float* to = begin + k * line;
      const std::int64_t h = k % lines - top;
      if (h < 0 || h >= height) {
        clear(to, line);
        continue;
      }
      const float* row = from + k / lines * x.stride(0) + h * x.stride(2);
      clear(to, left * channels);
      to += left * channels;
      if (rows_whole) {
        std::memcpy(to, row, static_cast<std::size_t>(width * channels) * sizeof(float));
      } else {
        for (std::int64_t w = 0; w < width; ++w) {
          for (std::int64_t c = 0; c < channels; ++c) to[w * channels + c] = row[w * across + c * channel];
        }
      }
      clear(to + width * channels, left * channels);
    }
  });
}

}  // namespace portfire::graph::direct
