#include "engine/graph/kernels/direct/layer.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "engine/graph/kernels/direct/rows.h"

namespace portfire::graph::direct {

Layer::Layer(at::Tensor weight, at::Tensor bias)
    : weight_(std::move(weight)), bias_(std::move(bias)), outputs_(weight_.size(0)), inputs_(weight_.size(1)),
      high_(weight_.size(2)), wide_(weight_.size(3)) {}

void Layer::pack() const {
  std::call_once(packed_once_, [this] {
    // A row of the input has its channels last, so the weight has.
    packed_weight_ = packed(weight_.permute({0, 2, 3, 1}));
    packed_bias_ = packed_bias(bias_, outputs_);
  });
}

at::Tensor Layer::convolution(const at::Tensor& x, const at::Tensor& other, const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& stride,
                              const std::vector<std::int64_t>& padding, const std::vector<std::int64_t>& dilation, Bounds bounds) const {
  pack();
  at::Tensor y = make_empty(sizes, at::MemoryFormat::ChannelsLast);
  const at::Tensor whole = padded(x, padding[0], padding[1]);
  const at::Tensor added = other.defined() ? other.contiguous(at::MemoryFormat::ChannelsLast) : other;
  const std::int64_t line = (x.size(3) + 2 * padding[1]) * inputs_;
  // Along a row of the kernel the input lies in one piece, unless it is dilated.
  const bool in_rows = dilation[1] == 1;
  std::vector<std::int64_t> offsets;
  for (std::int64_t h = 0; h < high_; ++h) {
    for (std::int64_t w = 0; w < (in_rows ? 1 : wide_); ++w) offsets.push_back(h * dilation[0] * line + w * dilation[1] * inputs_);
  }
  const std::int64_t rows = sizes[0] * sizes[2] * sizes[3];
  multiply({.x = whole.const_data_ptr<float>(),
            .from = {.across = sizes[3], .column_step = stride[1] * inputs_, .down = sizes[2], .row_step = stride[0] * line,
                     .image_step = (x.size(2) + 2 * padding[0]) * line},
            .offsets = offsets.data(),
            .segments = static_cast<std::int64_t>(offsets.size()), .length = in_rows ? wide_ * inputs_ : inputs_,
            .weight = packed_weight_.const_data_ptr<float>(), .bias = packed_bias_.const_data_ptr<float>(),
            .other = added.defined() ? added.const_data_ptr<float>() : nullptr, .low = bounds.low, .high = bounds.high,
            .y = y.mutable_data_ptr<float>(), .to = {.image_step = outputs_}, .outputs = outputs_},
           rows);
  return y;
}

DepthwiseLayer::DepthwiseLayer(const at::Tensor& weight, const at::Tensor& bias)
    : weight_(weight.permute({2, 3, 1, 0}).contiguous()), bias_(bias.defined() ? bias.contiguous() : at::zeros({weight.size(0)}, weight.options())),
      high_(weight.size(2)), wide_(weight.size(3)) {}

bool DepthwiseLayer::takes(std::int64_t channels) { return channels >= kernels().width; }

at::Tensor DepthwiseLayer::convolution(const at::Tensor& x, const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& stride,
                                       const std::vector<std::int64_t>& padding, const std::vector<std::int64_t>& dilation, Bounds bounds) const {
  const at::Tensor whole = x.contiguous(at::MemoryFormat::ChannelsLast);
  at::Tensor y = make_empty(sizes, at::MemoryFormat::ChannelsLast);
  const Depthwise task{.x = whole.const_data_ptr<float>(), .height = x.size(2), .width = x.size(3), .channels = x.size(1), .kernel_height = high_,
                       .kernel_width = wide_, .stride_height = stride[0], .stride_width = stride[1], .pad_height = padding[0], .pad_width = padding[1],
                       .dilation_height = dilation[0], .dilation_width = dilation[1], .weight = weight_.const_data_ptr<float>(),
                       .bias = bias_.const_data_ptr<float>(), .low = bounds.low, .high = bounds.high, .y = y.mutable_data_ptr<float>(),
                       .out_height = sizes[2], .out_width = sizes[3]};
  const std::int64_t products = sizes[3] * x.size(1) * high_ * wide_;
  at::parallel_for(0, sizes[0] * sizes[2], std::max<std::int64_t>(1, kProductsOfAThread / 4 / std::max<std::int64_t>(1, products)),
                   [&](std::int64_t first, std::int64_t last) { kernels().depthwise(task, first, last); });
  return y;
}

Recurrence::Recurrence(const std::vector<at::Tensor>& weights) : hidden_(weights[0].size(1)) {
  for (const at::Tensor& weight : weights) packed_.push_back(packed(weight));
  zeros_ = at::zeros({packed_[0].size(0) * kernels().width}, weights[0].options());
}

at::Tensor Recurrence::run(const std::vector<at::Tensor>& inputs, const at::Tensor& h, const at::Tensor& c) const {
  const auto directions = static_cast<std::int64_t>(packed_.size());
  const std::int64_t steps = inputs[0].size(0), rows = inputs[0].size(1);
  at::Tensor y = make_empty({steps, rows, directions * hidden_});
  const at::Tensor gates = make_empty({directions, rows, 4 * hidden_});
  std::vector<Lstm> tasks;
  for (std::int64_t d = 0; d < directions; ++d) {
    const auto k = static_cast<std::size_t>(d);
    tasks.push_back({.inputs = inputs[k].const_data_ptr<float>(), .weight = packed_[k].const_data_ptr<float>(), .zeros = zeros_.const_data_ptr<float>(),
                     .h = h.const_data_ptr<float>() + d * rows * hidden_, .c = c.mutable_data_ptr<float>() + d * rows * hidden_,
                     .gates = gates.mutable_data_ptr<float>() + d * rows * 4 * hidden_, .y = y.mutable_data_ptr<float>() + d * hidden_,
                     .y_step = rows * directions * hidden_, .y_row = directions * hidden_, .steps = steps, .rows = rows, .hidden = hidden_,
                     .reversed = d == 1});
  }
  // A thread takes a direction, or some of its rows.
  constexpr std::int64_t kRowsOfAThread = 6;
  const std::int64_t pieces = std::max<std::int64_t>(1, std::min<std::int64_t>(rows / kRowsOfAThread, (at::get_num_threads() + directions - 1) / directions));
  const std::int64_t whole = steps * rows * 4 * hidden_ * hidden_;
  at::parallel_for(0, directions * pieces, whole < kProductsOfAThread ? directions * pieces : 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t k = first; k < last; ++k) {
      const std::int64_t piece = k % pieces;
      kernels().lstm(tasks[static_cast<std::size_t>(k / pieces)], piece * rows / pieces, (piece + 1) * rows / pieces);
    }
  });
  return y;
}

void activate(const at::Tensor& y, Activation activation) {
  float* values = y.mutable_data_ptr<float>();
  constexpr std::int64_t kValuesOfAThread = 1 << 14;
  at::parallel_for(0, y.numel(), kValuesOfAThread,
                   [&](std::int64_t first, std::int64_t last) { kernels().activate(activation, values + first, last - first); });
}

at::Tensor affine(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift, Bounds bounds) {
  at::Tensor y = at::empty_like(x);
  const Affine task{.x = x.const_data_ptr<float>(), .scale = scale.const_data_ptr<float>(), .shift = shift.const_data_ptr<float>(), .low = bounds.low,
                    .high = bounds.high, .y = y.mutable_data_ptr<float>(), .channels = x.size(1)};
  constexpr std::int64_t kValuesOfAThread = 1 << 16;
  at::parallel_for(0, x.numel() / x.size(1), std::max<std::int64_t>(1, kValuesOfAThread / x.size(1)),
                   [&](std::int64_t first, std::int64_t last) { kernels().affine(task, first, last); });
  return y;
}

at::Tensor max_pool(const at::Tensor& x, const Window& window) {
  const bool is_volume = x.dim() == 5;
  std::vector<std::int64_t> sizes{x.size(0), x.size(1)};
  for (std::size_t k = 0; k < window.size.size(); ++k) {
    sizes.push_back((x.size(static_cast<std::int64_t>(k) + 2) + 2 * window.padding[k] - window.size[k]) / window.stride[k] + 1);
  }
  at::Tensor y = make_empty(sizes, is_volume ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::ChannelsLast);
  const std::size_t h = is_volume ? 1 : 0, w = h + 1;  // among the window's numbers
  MaxPool pool{.x = x.const_data_ptr<float>(), .height = x.size(-2), .width = x.size(-1), .channels = x.size(1),
               .kernel_height = window.size[h], .kernel_width = window.size[w], .stride_height = window.stride[h],
               .stride_width = window.stride[w], .pad_height = window.padding[h], .pad_width = window.padding[w],
               .y = y.mutable_data_ptr<float>(), .out_height = y.size(-2), .out_width = y.size(-1)};
  if (is_volume) {
    pool.depth = x.size(2);
    pool.kernel_depth = window.size[0];
    pool.stride_depth = window.stride[0];
    pool.pad_depth = window.padding[0];
    pool.out_depth = y.size(2);
  }
  constexpr std::int64_t kValuesOfAThread = 1 << 16;
  const std::int64_t values = pool.out_width * x.size(1) * pool.kernel_depth * pool.kernel_height * pool.kernel_width;
  at::parallel_for(0, y.size(0) * pool.out_depth * pool.out_height, std::max<std::int64_t>(1, kValuesOfAThread / std::max<std::int64_t>(values, 1)),
                   [&](std::int64_t first, std::int64_t last) {
                     std::vector<float> line(static_cast<std::size_t>(pool.width * pool.channels));
                     kernels().max_pool(pool, first, last, line.data());
                   });
  return y;
}

}  // namespace portfire::graph::direct
