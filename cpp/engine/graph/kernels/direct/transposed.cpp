#include "engine/graph/kernels/direct/transposed.h"

#include <algorithm>
#include <utility>

#include "engine/graph/kernels/direct/rows.h"

namespace portfire::graph::direct {
namespace {

/// One axis of a phase: value q of it is value first + q * stride of the result, and sees the input from begin + q.
struct Axis {
  std::int64_t taps = 0;   ///< of the kernel
  std::int64_t first = 0;  ///< of the result
  std::int64_t count = 0;  ///< of values
  std::int64_t begin = 0;  ///< in the input, perhaps before it
};

/// The phase whose values are those that tap `phase` of the kernel reaches, and every stride-th after it.
Axis axis_of(std::int64_t phase, std::int64_t kernel, std::int64_t stride, std::int64_t padding, std::int64_t size) {
  Axis axis{.taps = (kernel - phase + stride - 1) / stride};
  // Value o lies in the phase of (o + padding) % stride; with o + padding = q stride + phase it sees inputs q - taps + 1 to q.
  const std::int64_t least = std::max<std::int64_t>(padding - phase + stride - 1, 0) / stride;
  axis.first = least * stride + phase - padding;
  axis.count = axis.first < size ? (size - 1 - axis.first) / stride + 1 : 0;
  axis.begin = least - axis.taps + 1;
  return axis;
}

}  // namespace

TransposedLayer::TransposedLayer(at::Tensor weight, at::Tensor bias, std::vector<std::int64_t> stride, std::vector<std::int64_t> padding)
    : weight_(std::move(weight)), bias_(std::move(bias)), stride_(std::move(stride)), padding_(std::move(padding)) {}

bool TransposedLayer::takes(const at::Tensor& weight, const std::vector<std::int64_t>& stride) {
  const auto fits = [&](std::size_t k) {
    constexpr std::int64_t kMostTaps = 4;
    const std::int64_t size = weight.size(static_cast<std::int64_t>(k) + 2);
    return stride[k] >= 2 && stride[k] <= size && size <= kMostTaps * stride[k];
  };
  return kernels().convolves && fits(0) && fits(1);
}

void TransposedLayer::pack() const {
  std::call_once(packed_once_, [this] {
    const std::int64_t outputs = weight_.size(1);
    std::vector<at::Tensor> phases;  // whole or not at all: memory may be short, and the next call tries again
    for (std::int64_t h = 0; h < stride_[0]; ++h) {
      for (std::int64_t w = 0; w < stride_[1]; ++w) {
        const at::Tensor taps = weight_.slice(2, h, std::nullopt, stride_[0]).slice(3, w, std::nullopt, stride_[1]).flip({2, 3});
        phases.push_back(packed(taps.permute({1, 2, 3, 0})));
      }
    }
    packed_bias_ = packed_bias(bias_, outputs);
    packed_weights_ = std::move(phases);
  });
}

at::Tensor TransposedLayer::convolution(const at::Tensor& x, const std::vector<std::int64_t>& sizes, Bounds bounds) const {
  pack();
  const std::int64_t inputs = x.size(1), outputs = sizes[1];
  std::vector<Axis> down, across;
  std::int64_t top = 0, left = 0;
  for (std::int64_t phase = 0; phase < stride_[0]; ++phase) {
    down.push_back(axis_of(phase, weight_.size(2), stride_[0], padding_[0], sizes[2]));
    top = std::max({top, -down.back().begin, down.back().begin + down.back().count - 1 + down.back().taps - x.size(2)});
  }
  for (std::int64_t phase = 0; phase < stride_[1]; ++phase) {
    across.push_back(axis_of(phase, weight_.size(3), stride_[1], padding_[1], sizes[3]));
    left = std::max({left, -across.back().begin, across.back().begin + across.back().count - 1 + across.back().taps - x.size(3)});
  }
  const at::Tensor whole = padded(x, top, left);
  at::Tensor y = make_empty(sizes, at::MemoryFormat::ChannelsLast);
  const std::int64_t line = (x.size(3) + 2 * left) * inputs;
  for (std::size_t k = 0; k < packed_weights_.size(); ++k) {
    const Axis& h = down[k / across.size()];
    const Axis& w = across[k % across.size()];
    if (h.count == 0 || w.count == 0) continue;
    std::vector<std::int64_t> offsets;
    for (std::int64_t tap = 0; tap < h.taps; ++tap) offsets.push_back(tap * line);
    multiply({.x = whole.const_data_ptr<float>() + (h.begin + top) * line + (w.begin + left) * inputs,
              .from = {.across = w.count, .column_step = inputs, .down = h.count, .row_step = line, .image_step = (x.size(2) + 2 * top) * line},
              .offsets = offsets.data(), .segments = h.taps, .length = w.taps * inputs, .weight = packed_weights_[k].const_data_ptr<float>(),
              .bias = packed_bias_.const_data_ptr<float>(), .low = bounds.low, .high = bounds.high,
              .y = y.mutable_data_ptr<float>() + (h.first * sizes[3] + w.first) * outputs,
              .to = {.across = w.count, .column_step = stride_[1] * outputs, .down = h.count, .row_step = stride_[0] * sizes[3] * outputs,
                     .image_step = sizes[2] * sizes[3] * outputs},
              .outputs = outputs},
             sizes[0] * h.count * w.count);
  }
  return y;
}

}  // namespace portfire::graph::direct
