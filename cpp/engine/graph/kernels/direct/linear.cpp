#include "engine/graph/kernels/direct/linear.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include <c10/util/BFloat16.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>
#include <vector>

#include "engine/graph/kernels/direct/eight_bits.h"
#include "engine/graph/kernels/direct/rows.h"

namespace portfire::graph::direct {
namespace {

constexpr float kPartOfInt8 = 1.0F / (1 << 24);  // see Linear::scale
constexpr std::int64_t kFewRows = 6;             // no kernel widens a weight for fewer
constexpr std::int64_t kBytesOfAThread = 1 << 20;  // products: some 10 us
constexpr std::int64_t kValuesOfAThread = 1 << 15;
constexpr std::int64_t kRowsAtOnce = 256;        // which stay near while they meet all of the weight

/// One output's values, [inputs], to where its words lie `width` apart. Gives what a value is worth.
float pack_row(const float* from, std::int64_t inputs, Kept kept, std::int64_t width, std::uint32_t* to) {
  float largest = 0;
  for (std::int64_t k = 0; k < inputs; ++k) largest = std::max(largest, std::abs(from[k]));
  const float worth = largest > 0 ? largest / 127 : 1.0F;
  const std::int64_t each = values_of_word(kept);
  const std::int64_t bits = 32 / each;
  for (std::int64_t k = 0; k < inputs; k += each, to += width) {
    std::uint32_t word = 0;
    for (std::int64_t part = 0; part < std::min(each, inputs - k); ++part) {
      const float value = from[k + part];
      const std::uint32_t code = kept == Kept::kInt8 ? static_cast<std::uint32_t>(std::lrint(value / worth)) & 0xffU : c10::BFloat16(value).x;
      word |= code << (part * bits);
    }
    *to = word;
  }
  return worth;
}

std::int32_t byte_of(std::uint32_t word, std::int64_t part) { return static_cast<std::int8_t>(word >> (8 * part) & 0xffU); }

float value_of(std::uint32_t word, Kept kept, std::int64_t part) {
  if (kept == Kept::kFloat32) return std::bit_cast<float>(word);
  if (kept == Kept::kBFloat16) return std::bit_cast<float>(part == 0 ? word << 16 : word & 0xffff0000U);
  return static_cast<float>(byte_of(word, part) * (1 << 24));
}

/// [panels * width]: of each output's bytes.
at::Tensor sums_of(const LinearWeight& weight) {
  const std::int64_t panels = weight.words.size(0), words = weight.words.size(1), width = weight.words.size(2);
  at::Tensor sums = at::zeros({panels * width}, at::kInt);
  const auto* const from = static_cast<const std::uint32_t*>(weight.words.const_data_ptr());
  auto* const to = sums.mutable_data_ptr<std::int32_t>();
  at::parallel_for(0, panels, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t k = first * words * width; k < last * words * width; ++k) {
      for (std::int64_t part = 0; part < values_of_word(Kept::kInt8); ++part) to[k / (words * width) * width + k % width] += byte_of(from[k], part);
    }
  });
  return sums;
}

/// y = x W for a task whose inputs are to be bytes.
void linear_of_bytes(const Linear& task, std::int64_t rows, const LinearWeight& weight) {
  const EightBits& kernels = *eight_bits();
  const std::int64_t words = weight.words.size(1), panels = weight.words.size(0);
  const at::Tensor room = make_empty({rows * (words + 2)});  // words of 32 bits
  float* const begin = room.mutable_data_ptr<float>();
  const LinearOfBytes whole{.linear = task,
                            .x = {.values = reinterpret_cast<std::uint8_t*>(begin), .worth = begin + rows * words, .zero = reinterpret_cast<std::int32_t*>(begin + rows * (words + 1))},
                            .sums = weight.sums.const_data_ptr<std::int32_t>()};
  at::parallel_for(0, rows, std::max<std::int64_t>(1, kValuesOfAThread / weight.inputs),
                   [&](std::int64_t first, std::int64_t last) { kernels.round_rows(task.x, weight.inputs, first, last, whole.x); });
  const std::int64_t blocks = (rows + kRowsAtOnce - 1) / kRowsAtOnce;
  const std::int64_t products = std::max<std::int64_t>(1, rows * weight.inputs * kernels.width);
  at::parallel_for(0, panels, std::max<std::int64_t>(1, kBytesOfAThread / products), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t k = 0; k < blocks; ++k) kernels.linear(whole, k * rows / blocks, (k + 1) * rows / blocks, first, last);
  });
}

}  // namespace

LinearWeight packed_linear_weight(const at::Tensor& weight, Kept kept) {
  LinearWeight out{.kept = kept, .outputs = weight.size(0), .inputs = weight.size(1), .words = {}, .scale = {}, .sums = {}};
  if (kept == Kept::kFloat32) {
    out.words = packed(weight);
    return out;
  }
  const std::int64_t width = kernels().width, each = values_of_word(kept);
  const std::int64_t panels = (out.outputs + width - 1) / width, count = (out.inputs + each - 1) / each;
  out.words = at::zeros({panels, count, width}, at::kInt);
  if (kept == Kept::kInt8) out.scale = at::zeros({panels * width}, at::kFloat);
  const at::Tensor whole = weight.contiguous();
  const float* const from = whole.const_data_ptr<float>();
  auto* const to = reinterpret_cast<std::uint32_t*>(out.words.mutable_data_ptr<std::int32_t>());
  float* const scale = kept == Kept::kInt8 ? out.scale.mutable_data_ptr<float>() : nullptr;
  at::parallel_for(0, panels, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t o = first * width; o < std::min(last * width, out.outputs); ++o) {
      const float worth = pack_row(from + o * out.inputs, out.inputs, kept, width, to + o / width * count * width + o % width);
      if (scale != nullptr) scale[o] = worth * kPartOfInt8;
    }
  });
  if (kept == Kept::kInt8 && eight_bits() != nullptr && out.inputs <= kMostInputsOfBytes) out.sums = sums_of(out);
  return out;
}

at::Tensor linear(const at::Tensor& x, const LinearWeight& weight, const at::Tensor& bias, const at::Tensor& other, Bounds bounds) {
  const at::Tensor whole = x.contiguous();
  const at::Tensor added = other.defined() ? other.contiguous() : other;
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.back() = weight.outputs;
  at::Tensor y = make_empty(sizes);
  const Linear task{.kept = weight.kept, .x = whole.const_data_ptr<float>(), .weight = static_cast<const std::int32_t*>(weight.words.const_data_ptr()),
                    .scale = weight.scale.defined() ? weight.scale.const_data_ptr<float>() : nullptr, .bias = bias.const_data_ptr<float>(),
                    .other = added.defined() ? added.const_data_ptr<float>() : nullptr, .low = bounds.low, .high = bounds.high,
                    .y = y.mutable_data_ptr<float>(), .inputs = weight.inputs, .outputs = weight.outputs};
  const std::int64_t rows = whole.numel() / weight.inputs;
  if (weight.sums.defined()) {
    linear_of_bytes(task, rows, weight);
    return y;
  }
  const std::int64_t width = kernels().width;
  const std::int64_t blocks = (rows + kRowsAtOnce - 1) / kRowsAtOnce;
  const bool widens = rows > kFewRows && weight.kept != Kept::kFloat32;
  const at::Tensor rooms = widens ? make_empty({at::get_num_threads(), kMostWidened * weight.inputs * width}) : at::Tensor();
  at::parallel_for(0, weight.words.size(0), std::max<std::int64_t>(1, kProductsOfAThread / std::max<std::int64_t>(1, rows * weight.inputs * width)),
                   [&](std::int64_t first, std::int64_t last) {
                     float* const room = rooms.defined() ? rooms.mutable_data_ptr<float>() + at::get_thread_num() * rooms.size(1) : nullptr;
                     for (std::int64_t k = 0; k < blocks; ++k) kernels().linear(task, k * rows / blocks, (k + 1) * rows / blocks, first, last, room);
                   });
  return y;
}

at::Tensor embedding(const LinearWeight& weight, const at::Tensor& ids) {
  const at::Tensor whole = ids.to(at::kLong).contiguous();
  std::vector<std::int64_t> sizes = ids.sizes().vec();
  sizes.push_back(weight.inputs);
  at::Tensor y = make_empty(sizes);
  const std::int64_t width = kernels().width, each = values_of_word(weight.kept);
  const auto* const words = static_cast<const std::uint32_t*>(weight.words.const_data_ptr());
  float* to = y.mutable_data_ptr<float>();
  const std::span all(whole.const_data_ptr<std::int64_t>(), static_cast<std::size_t>(whole.numel()));
  for (const std::int64_t id : all) {
    TORCH_CHECK_INDEX(id >= 0 && id < weight.outputs, "index out of range in self: ", id, " of ", weight.outputs);
    const std::uint32_t* from = words + id / width * weight.words.size(1) * width + id % width;
    const float scale = weight.scale.defined() ? weight.scale.const_data_ptr<float>()[id] : 1.0F;
    for (std::int64_t k = 0; k < weight.inputs; ++k) *to++ = value_of(from[k / each * width], weight.kept, k % each) * scale;
  }
  return y;
}

}  // namespace portfire::graph::direct
