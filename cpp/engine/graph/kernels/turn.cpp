#include "engine/graph/kernels/turn.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "engine/graph/kernels/direct/layer.h"
#include "engine/graph/kernels/direct/rows.h"
#include "engine/graph/run.h"

namespace portfire::graph {
namespace {

constexpr std::size_t kMostAxes = 6;  // before those of a row's pairs

/// Rows of pairs: of x, and of the angles, whose steps are 0 where they are broadcast.
struct Rows {
  std::size_t axes = 0;
  std::array<std::int64_t, kMostAxes> sizes{}, x_steps{}, turn_steps{};
  std::int64_t count = 1, pairs = 0;
};

/// The angles' size and step along x's axis.
std::pair<std::int64_t, std::int64_t> turn_axis(const at::Tensor& turn, const std::optional<std::int64_t>& missing, std::int64_t axis) {
  if (missing == axis) return {1, 0};
  const std::int64_t own = missing && axis > *missing ? axis - 1 : axis;
  return {turn.size(own), turn.stride(own)};
}

bool is_plain(const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat && x.layout() == at::kStrided && !x.is_neg(); }

std::optional<Rows> rows_of(const at::Tensor& x, const at::Tensor& turn, const Pairs& pairs) {
  if (!is_plain(x) || !is_plain(turn) || turn.dim() < 2) return std::nullopt;
  const std::int64_t axes = x.dim() - (pairs.come_joined ? 1 : 2), turn_axes = turn.dim() - 2 + (pairs.axis ? 1 : 0);
  if (axes < 0 || axes != turn_axes || axes > static_cast<std::int64_t>(kMostAxes) || (pairs.axis && *pairs.axis >= axes)) return std::nullopt;
  Rows rows{.axes = static_cast<std::size_t>(axes), .pairs = turn.size(-2)};
  const bool is_whole = turn.size(-1) == 2 && turn.stride(-1) == 1 && turn.stride(-2) == 2 && x.stride(-1) == 1;
  const bool fits = pairs.come_joined ? x.size(-1) == 2 * rows.pairs : x.size(-1) == 2 && x.size(-2) == rows.pairs && x.stride(-2) == 2;
  if (!is_whole || !fits) return std::nullopt;
  for (std::size_t k = 0; k < rows.axes; ++k) {
    const auto axis = static_cast<std::int64_t>(k);
    const auto [size, step] = turn_axis(turn, pairs.axis, axis);
    if (size != 1 && size != x.size(axis)) return std::nullopt;
    rows.sizes[k] = x.size(axis);
    rows.x_steps[k] = x.stride(axis);
    rows.turn_steps[k] = size == 1 ? 0 : step;
    rows.count *= rows.sizes[k];
  }
  return rows;
}

void turn_row(const float* x, const float* turn, std::int64_t pairs, float* y) {
  for (std::int64_t k = 0; k < 2 * pairs; k += 2) {
    const float a = x[k], b = x[k + 1], c = turn[k], s = turn[k + 1];
    y[k] = a * c - b * s;
    y[k + 1] = a * s + b * c;
  }
}

void turn_rows(const Rows& rows, const float* x, const float* turn, std::int64_t first, std::int64_t last, float* y) {
  std::array<std::int64_t, kMostAxes> place{};
  std::int64_t left = first;
  for (std::size_t k = rows.axes; k-- > 0; left /= rows.sizes[k]) {
    place[k] = left % rows.sizes[k];
    x += place[k] * rows.x_steps[k];
    turn += place[k] * rows.turn_steps[k];
  }
  for (std::int64_t row = first; row < last; ++row) {
    turn_row(x, turn, rows.pairs, y + row * 2 * rows.pairs);
    for (std::size_t k = rows.axes; k-- > 0;) {
      x += rows.x_steps[k];
      turn += rows.turn_steps[k];
      if (++place[k] < rows.sizes[k]) break;
      place[k] = 0;
      x -= rows.sizes[k] * rows.x_steps[k];
      turn -= rows.sizes[k] * rows.turn_steps[k];
    }
  }
}

class TurnedPairs final : public Kernel {
 public:
  TurnedPairs(const Pairs& pairs, Block steps) : pairs_(pairs), steps_(std::move(steps)) {}

  void run(torch::jit::Stack& stack) const override {
    const std::optional<Rows> rows = stack[0].isTensor() && stack[1].isTensor() ? rows_of(stack[0].toTensor(), stack[1].toTensor(), pairs_) : std::nullopt;
    if (!rows) {
      stack = run_block(steps_, std::move(stack));
      return;
    }
    at::Tensor y = turned(*rows, stack[0].toTensor(), stack[1].toTensor());
    stack.clear();
    stack.emplace_back(std::move(y));
  }

 private:
  at::Tensor turned(const Rows& rows, const at::Tensor& x, const at::Tensor& turn) const {
    std::vector<std::int64_t> sizes(rows.sizes.begin(), rows.sizes.begin() + static_cast<std::ptrdiff_t>(rows.axes));
    sizes.push_back(pairs_.go_joined ? 2 * rows.pairs : rows.pairs);
    if (!pairs_.go_joined) sizes.push_back(2);
    at::Tensor y = direct::make_empty(sizes);
    const float* const from = x.const_data_ptr<float>();
    const float* const by = turn.const_data_ptr<float>();
    float* const to = y.mutable_data_ptr<float>();
    constexpr std::int64_t kPairsOfAThread = 1 << 14;
    at::parallel_for(0, rows.count, std::max<std::int64_t>(1, kPairsOfAThread / std::max<std::int64_t>(1, rows.pairs)),
                     [&](std::int64_t first, std::int64_t last) { turn_rows(rows, from, by, first, last, to); });
    return y;
  }

  Pairs pairs_;
  Block steps_;
};

}  // namespace

std::shared_ptr<const Kernel> turned_pairs(const Pairs& pairs, Block steps) { return std::make_shared<TurnedPairs>(pairs, std::move(steps)); }

}  // namespace portfire::graph
