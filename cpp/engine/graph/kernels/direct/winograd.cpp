#include "engine/graph/kernels/direct/winograd.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "engine/graph/kernels/direct/rows.h"

namespace portfire::graph::direct {
namespace {

constexpr std::int64_t kProducts = 16;  // of a tile
constexpr std::int64_t kTaps = 9;       // of a kernel
constexpr std::int64_t kNearBytes = 1 << 18;  // what a block of tiles may take of the second cache
constexpr std::int64_t kLeastChannels = 32;  // fewer, and the tiles cost more than they save
constexpr std::int64_t kLeastTiles = 24;  // that make it worth to read the weight

/// As many tiles as stay near, and enough to read the weight for.
std::int64_t tiles_of_block(std::int64_t inputs, std::int64_t outputs) {
  const std::int64_t near = kNearBytes / (kProducts * (inputs + outputs) * static_cast<std::int64_t>(sizeof(float)));
  return std::max(near / kLeastTiles, std::int64_t{1}) * kLeastTiles;
}

/// G g G^T of one 3 x 3 kernel g, in float64: no more than the last rounding is lost.
void spread_kernel(const float* g, std::array<double, kProducts>& out) {
  std::array<double, 12> rows{};  // G g
  for (std::size_t c = 0; c < 3; ++c) {
    const double top = g[c], middle = g[c + 3], bottom = g[c + 6];
    rows[c] = top;
    rows[c + 3] = 0.5 * (top + middle + bottom);
    rows[c + 6] = 0.5 * (top - middle + bottom);
    rows[c + 9] = bottom;
  }
  for (std::size_t r = 0; r < 4; ++r) {
    const double left = rows[3 * r], middle = rows[3 * r + 1], right = rows[3 * r + 2];
    out[4 * r] = left;
    out[4 * r + 1] = 0.5 * (left + middle + right);
    out[4 * r + 2] = 0.5 * (left - middle + right);
    out[4 * r + 3] = right;
  }
}

/// The 16 products of `count` tiles, those from `first` to `last` of them.
void multiply_tiles(const Winograd& task, const at::Tensor& weight, const float* spread, float* products, std::int64_t room, std::int64_t count,
                    std::int64_t first, std::int64_t last) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::int64_t offset = 0;
  for (std::int64_t k = first; k < last; ++k) {
    kernels().multiply({.x = spread + k * room * task.inputs, .from = {.across = count, .column_step = task.inputs}, .offsets = &offset, .length = task.inputs,
                        .weight = weight.const_data_ptr<float>() + k * task.inputs * task.outputs, .bias = task.zeros,
                        .low = -kInfinity, .high = kInfinity, .y = products + k * room * task.outputs,
                        .to = {.image_step = task.outputs}, .outputs = task.outputs},
                       0, count);
  }
}

}  // namespace

WinogradLayer::WinogradLayer(at::Tensor weight, at::Tensor bias) : weight_(std::move(weight)), bias_(std::move(bias)) {}

bool WinogradLayer::takes(std::int64_t inputs, std::int64_t outputs) {
  const auto enough = [](std::int64_t channels) { return channels >= kLeastChannels && channels % kernels().width == 0; };
  return kernels().convolves && enough(inputs) && enough(outputs);
}

void WinogradLayer::pack() const {
  std::call_once(packed_once_, [this] {
    const std::int64_t outputs = weight_.size(0), inputs = weight_.size(1), width = kernels().width;
    const at::Tensor whole = weight_.contiguous();
    packed_weight_ = make_empty({kProducts, outputs / width, inputs, width});
    packed_bias_ = bias_.defined() ? bias_.contiguous() : at::zeros({outputs}, weight_.options());
    const float* const from = whole.const_data_ptr<float>();
    float* const to = packed_weight_.mutable_data_ptr<float>();
    at::parallel_for(0, outputs * inputs / width, 256, [&](std::int64_t first, std::int64_t last) {
      std::array<double, kProducts> spread{};
      for (std::int64_t k = first; k < last; ++k) {
        const float* kernel = from + (k / inputs * width * inputs + k % inputs) * kTaps;
        for (std::int64_t lane = 0; lane < width; ++lane, kernel += inputs * kTaps) {
          spread_kernel(kernel, spread);
          for (std::size_t p = 0; p < spread.size(); ++p) to[(static_cast<std::int64_t>(p) * outputs * inputs) + k * width + lane] = static_cast<float>(spread[p]);
        }
      }
    });
  });
}

at::Tensor WinogradLayer::convolution(const at::Tensor& x, const at::Tensor& other, const std::vector<std::int64_t>& sizes,
                                      const std::vector<std::int64_t>& padding, Bounds bounds) const {
  pack();
  const at::Tensor whole = x.contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor added = other.defined() ? other.contiguous(at::MemoryFormat::ChannelsLast) : other;
  at::Tensor y = make_empty(sizes, at::MemoryFormat::ChannelsLast);
  const std::int64_t inputs = x.size(1), outputs = sizes[1];
  const at::Tensor zeros = at::zeros({std::max(inputs, outputs)}, x.options());
  const Winograd task{.x = whole.const_data_ptr<float>(), .height = x.size(2), .width = x.size(3), .inputs = inputs, .pad_height = padding[0],
                      .pad_width = padding[1], .tiles_down = (sizes[2] + 1) / 2, .tiles_across = (sizes[3] + 1) / 2,
                      .zeros = zeros.const_data_ptr<float>(), .bias = packed_bias_.const_data_ptr<float>(),
                      .other = added.defined() ? added.const_data_ptr<float>() : nullptr, .low = bounds.low, .high = bounds.high,
                      .y = y.mutable_data_ptr<float>(), .out_height = sizes[2], .out_width = sizes[3], .outputs = outputs};
  const std::int64_t tiles = sizes[0] * task.tiles_down * task.tiles_across;
  const std::int64_t threads = at::get_num_threads();
  const std::int64_t room = std::min(tiles, tiles_of_block(inputs, outputs));
  const at::Tensor rooms = make_empty({threads, kProducts * room * (inputs + outputs)});
  const auto room_of = [&](std::int64_t thread) { return rooms.mutable_data_ptr<float>() + thread * rooms.size(1); };
  const std::int64_t products_begin = kProducts * room * inputs;
  if (tiles < threads * kLeastTiles) {  // the threads share a block's steps
    float* const spread = room_of(0);
    for (std::int64_t first = 0; first < tiles; first += room) {
      const std::int64_t count = std::min(room, tiles - first);
      at::parallel_for(0, count, 4, [&](std::int64_t from, std::int64_t to) {
        kernels().winograd_spread(task, first + from, first + to, spread + from * inputs, room);
      });
      at::parallel_for(0, kProducts, 1, [&](std::int64_t from, std::int64_t to) {
        multiply_tiles(task, packed_weight_, spread, spread + products_begin, room, count, from, to);
      });
      at::parallel_for(0, count, 4, [&](std::int64_t from, std::int64_t to) {
        kernels().winograd_gather(task, first + from, first + to, spread + products_begin + from * outputs, room);
      });
    }
    return y;
  }
  at::parallel_for(0, tiles, kLeastTiles, [&](std::int64_t from, std::int64_t to) {
    float* const spread = room_of(at::get_thread_num());
    const std::int64_t blocks = (to - from + room - 1) / room;
    for (std::int64_t k = 0; k < blocks; ++k) {
      const std::int64_t first = from + (to - from) * k / blocks;
      const std::int64_t last = from + (to - from) * (k + 1) / blocks;
      kernels().winograd_spread(task, first, last, spread, room);
      multiply_tiles(task, packed_weight_, spread, spread + products_begin, room, last - first, 0, kProducts);
      kernels().winograd_gather(task, first, last, spread + products_begin, room);
    }
  });
  return y;
}

}  // namespace portfire::graph::direct
