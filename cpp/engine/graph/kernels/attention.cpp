#include "engine/graph/kernels/attention.h"

#include <ATen/ops/logical_not.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "engine/graph/run.h"

namespace portfire::graph {
namespace {

/// True where `holds` is for each row, which is the last axis.
template <typename T, typename Holds>
bool every_row(const at::Tensor& x, Holds holds) {
  const at::Tensor whole = x.is_neg() || x.stride(-1) != 1 ? x.contiguous() : x;
  const at::Tensor rows = whole.select(-1, 0);
  const auto length = static_cast<std::size_t>(x.size(-1));
  const T* const begin = whole.const_data_ptr<T>();
  for (std::int64_t row = 0; row < rows.numel(); ++row) {
    std::int64_t offset = 0, rest = row;
    for (std::int64_t axis = rows.dim(); axis-- > 0; rest /= rows.size(axis)) offset += rest % rows.size(axis) * rows.stride(axis);
    if (!holds(std::span(begin + offset, length))) return false;
  }
  return true;
}

/// No infinity, and no NaN: a loop that GCC takes several values at a time through.
bool is_finite(std::span<const float> row) {
  constexpr std::uint32_t kExponent = 0x7f800000;
  std::uint32_t found = 0;
  for (const float value : row) found |= (std::bit_cast<std::uint32_t>(value) & kExponent) == kExponent ? 1U : 0U;
  return found == 0;
}

bool is_above_all(std::span<const float> row) {
  return std::any_of(row.begin(), row.end(), [](float value) { return value > -std::numeric_limits<float>::infinity(); });
}

class Attention final : public Kernel {
 public:
  Attention(Mask mask, double scale, Block steps) : mask_(mask), scale_(scale), steps_(std::move(steps)) {}

  void run(torch::jit::Stack& stack) const override {
    if (takes(stack)) {
      std::optional<at::Tensor> mask;
      if (mask_ == Mask::kAdded) mask = stack[3].toTensor();
      if (mask_ == Mask::kHidden) mask = at::logical_not(stack[3].toTensor());
      at::Tensor y = at::scaled_dot_product_attention(stack[0].toTensor(), stack[1].toTensor(), stack[2].toTensor(), mask, 0, false, scale_);
      stack.clear();
      stack.emplace_back(std::move(y));
      return;
    }
    stack.resize(steps_.inputs.size());
    stack = run_block(steps_, std::move(stack));
  }

 private:
  bool takes(const torch::jit::Stack& stack) const {
    for (std::size_t k = 0; k < 3; ++k) {
      if (!stack[k].isTensor() || !is_plain(stack[k].toTensor()) || stack[k].toTensor().dim() != 4) return false;
    }
    if (!every_row<float>(stack[0].toTensor(), is_finite) || !every_row<float>(stack[1].toTensor(), is_finite)) return false;
    return mask_ == Mask::kNone || (stack[3].isTensor() && shows_something(stack[3].toTensor()));
  }

  static bool is_plain(const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat && x.layout() == at::kStrided && x.numel() > 0; }

  /// In every row.
  bool shows_something(const at::Tensor& mask) const {
    if (mask.dim() < 2 || mask.dim() > 4 || mask.numel() == 0) return false;
    if (mask_ == Mask::kAdded) return is_plain(mask) && every_row<float>(mask, is_above_all);
    return mask.is_cpu() && mask.scalar_type() == at::kBool && every_row<bool>(mask, [](std::span<const bool> row) { return std::find(row.begin(), row.end(), false) != row.end(); });
  }

  Mask mask_;
  double scale_;
  Block steps_;
};

}  // namespace

std::shared_ptr<const Kernel> attention(Mask mask, double scale, Block steps) { return std::make_shared<Attention>(mask, scale, std::move(steps)); }

}  // namespace portfire::graph
