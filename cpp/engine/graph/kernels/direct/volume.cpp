#include "engine/graph/kernels/direct/volume.h"

#include <utility>

#include "engine/graph/kernels/direct/rows.h"

namespace portfire::graph::direct {
namespace {

/// [N, C, D, H, W] -> [N, D + 2 front, H + 2 top, W + 2 left, C] in one piece; the input itself where it is that already.
at::Tensor padded(const at::Tensor& x, const std::vector<std::int64_t>& padding) {
  const bool is_bare = padding[0] == 0 && padding[1] == 0 && padding[2] == 0;
  if (is_bare && x.is_contiguous(at::MemoryFormat::ChannelsLast3d)) return x;
  at::Tensor out = make_empty({x.size(0), x.size(2) + 2 * padding[0], x.size(3) + 2 * padding[1], x.size(4) + 2 * padding[2], x.size(1)});
  const std::int64_t front = padding[0], depth = x.size(2);
  out.narrow(1, 0, front).zero_();
  out.narrow(1, front + depth, front).zero_();
  for (std::int64_t n = 0; n < x.size(0); ++n) {  // each image is a batch of pictures
    pad_into(out.select(0, n).narrow(0, front, depth), x.select(0, n).transpose(0, 1), padding[1], padding[2]);
  }
  return out;
}

}  // namespace

VolumeLayer::VolumeLayer(at::Tensor weight, at::Tensor bias) : weight_(std::move(weight)), bias_(std::move(bias)) {}

void VolumeLayer::pack() const {
  std::call_once(packed_once_, [this] {
    packed_weight_ = packed(weight_.permute({0, 2, 3, 4, 1}));
    packed_bias_ = packed_bias(bias_, weight_.size(0));
  });
}

at::Tensor VolumeLayer::convolution(const at::Tensor& x, const at::Tensor& other, const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& stride,
                                    const std::vector<std::int64_t>& padding, const std::vector<std::int64_t>& dilation, Bounds bounds) const {
  pack();
  const std::int64_t inputs = x.size(1), outputs = sizes[1];
  const at::Tensor whole = padded(x, padding);
  const at::Tensor added = other.defined() ? other.contiguous(at::MemoryFormat::ChannelsLast3d) : other;
  at::Tensor y = make_empty(sizes, at::MemoryFormat::ChannelsLast3d);
  const std::int64_t line = (x.size(4) + 2 * padding[2]) * inputs;
  const std::int64_t plane = (x.size(3) + 2 * padding[1]) * line;
  const std::int64_t volume = (x.size(2) + 2 * padding[0]) * plane;
  const bool in_rows = dilation[2] == 1;  // the input lies in one piece along a row of the kernel
  std::vector<std::int64_t> offsets;
  for (std::int64_t d = 0; d < weight_.size(2); ++d) {
    for (std::int64_t h = 0; h < weight_.size(3); ++h) {
      for (std::int64_t w = 0; w < (in_rows ? 1 : weight_.size(4)); ++w) {
        offsets.push_back(d * dilation[0] * plane + h * dilation[1] * line + w * dilation[2] * inputs);
      }
    }
  }
  const std::int64_t rows = sizes[2] * sizes[3] * sizes[4];
  for (std::int64_t n = 0; n < sizes[0]; ++n) {
    multiply({.x = whole.const_data_ptr<float>() + n * volume,
              .from = {.across = sizes[4], .column_step = stride[2] * inputs, .down = sizes[3], .row_step = stride[1] * line, .image_step = stride[0] * plane},
              .offsets = offsets.data(), .segments = static_cast<std::int64_t>(offsets.size()), .length = in_rows ? weight_.size(4) * inputs : inputs,
              .weight = packed_weight_.const_data_ptr<float>(), .bias = packed_bias_.const_data_ptr<float>(),
              .other = added.defined() ? added.const_data_ptr<float>() + n * rows * outputs : nullptr, .low = bounds.low, .high = bounds.high,
              .y = y.mutable_data_ptr<float>() + n * rows * outputs, .to = {.image_step = outputs}, .outputs = outputs},
             rows);
  }
  return y;
}

}  // namespace portfire::graph::direct
