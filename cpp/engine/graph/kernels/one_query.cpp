#include "engine/graph/kernels/one_query.h"

#include <ATen/Parallel.h>
#include <ATen/core/List.h>
#include <ATen/ops/index_put.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "engine/graph/kernels/direct/layer.h"
#include "engine/graph/kernels/direct/rows.h"

namespace portfire::graph {
namespace {

bool is_plain(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.layout() == at::kStrided && !x.is_neg() && x.dim() == 4 && x.numel() > 0 && x.stride(3) == 1;
}

/// 0 along an axis that is stretched.
std::int64_t step_of(const at::Tensor& x, std::int64_t axis) { return x.size(axis) == 1 ? 0 : x.stride(axis); }

class OneQuery final : public Kernel {
 public:
  explicit OneQuery(std::int64_t repeats) : repeats_(repeats) {}

  void run(torch::jit::Stack& stack) const override {
    const at::Tensor q = stack[0].toTensor(), k = stack[1].toTensor(), v = stack[2].toTensor();
    const std::optional<at::Tensor> mask = stack[3].toOptional<at::Tensor>();
    const bool plain = stack[4].toDouble() == 0 && !stack[5].toBool() && !stack[7].toBool();
    const std::optional<double> scale = stack[6].toOptional<double>();
    at::Tensor y;
    if (plain && takes(q, k, v, mask.has_value()) && (!mask || shows_something(*mask, q, k))) {
      y = attended(q, k, v, mask.value_or(at::Tensor()), scale.value_or(1 / std::sqrt(static_cast<double>(q.size(3)))));
    } else {
      const auto all = [this](const at::Tensor& x) { return repeats_ == 1 ? x : x.repeat_interleave(repeats_, 1); };
      y = at::scaled_dot_product_attention(q, all(k), all(v), mask, stack[4].toDouble(), stack[5].toBool(), scale, stack[7].toBool());
    }
    stack.clear();
    stack.emplace_back(std::move(y));
  }

 private:
  /// Many queries are LibTorch's where all places are seen, or where there are many of them: it takes blocks of both.
  bool takes(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool is_masked) const {
    constexpr std::int64_t kMostPlaces = 1 << 9;
    if (!is_plain(q) || !is_plain(k) || !is_plain(v) || (q.size(2) != 1 && (!is_masked || k.size(2) > kMostPlaces))) return false;
    return k.size(0) == q.size(0) && v.size(0) == q.size(0) && k.size(1) * repeats_ == q.size(1) && v.size(1) == k.size(1) && v.size(2) == k.size(2) && k.size(3) == q.size(3);
  }

  /// In every row, and can be stretched to all of them.
  static bool shows_something(const at::Tensor& mask, const at::Tensor& q, const at::Tensor& k) {
    const auto fits = [](std::int64_t size, std::int64_t whole) { return size == 1 || size == whole; };
    if (!mask.is_cpu() || mask.scalar_type() != at::kBool || mask.dim() != 4 || mask.size(3) != k.size(2) || mask.stride(3) != 1) return false;
    if (!fits(mask.size(2), q.size(2)) || !fits(mask.size(0), q.size(0)) || !fits(mask.size(1), q.size(1))) return false;
    for (std::int64_t n = 0; n < mask.size(0); ++n) {
      for (std::int64_t h = 0; h < mask.size(1); ++h) {
        for (std::int64_t s = 0; s < mask.size(2); ++s) {
          const bool* const row = mask.const_data_ptr<bool>() + n * mask.stride(0) + h * mask.stride(1) + s * mask.stride(2);
          if (std::find(row, row + mask.size(3), true) == row + mask.size(3)) return false;
        }
      }
    }
    return true;
  }

  static at::Tensor attended(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask, double scale) {
    at::Tensor y = direct::make_empty({q.size(0), q.size(2), q.size(1), v.size(3)});
    direct::OneQuery task{.q = q.const_data_ptr<float>(), .q_row = q.stride(0), .q_head = q.stride(1), .q_query = q.stride(2), .k = k.const_data_ptr<float>(), .k_row = k.stride(0),
                          .k_head = k.stride(1), .k_place = k.stride(2), .v = v.const_data_ptr<float>(), .v_row = v.stride(0), .v_head = v.stride(1),
                          .v_place = v.stride(2), .scale = static_cast<float>(scale), .y = y.mutable_data_ptr<float>(), .queries = q.size(2), .heads = q.size(1),
                          .kv_heads = k.size(1), .places = k.size(2), .size = q.size(3), .value_size = v.size(3)};
    if (mask.defined()) {
      task.mask = reinterpret_cast<const unsigned char*>(mask.const_data_ptr<bool>());
      task.mask_row = step_of(mask, 0);
      task.mask_head = step_of(mask, 1);
      task.mask_query = step_of(mask, 2);
    }
    const std::int64_t products = std::max<std::int64_t>(1, task.places * (task.size + task.value_size));
    at::parallel_for(0, q.size(0) * q.size(1) * q.size(2), std::max<std::int64_t>(1, direct::kProductsOfAThread / products), [&](std::int64_t first, std::int64_t last) {
      const auto scores = std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(task.places + direct::kernels().width));
      direct::kernels().attend(task, first, last, scores.get());
    });
    return y.transpose(1, 2);  // as LibTorch's lies
  }

  std::int64_t repeats_;
};

class PutRows final : public Kernel {
 public:
  void run(torch::jit::Stack& stack) const override {
    at::Tensor x = stack[0].toTensor();
    const auto indices = stack[1].to<c10::List<std::optional<at::Tensor>>>();
    const at::Tensor values = stack[2].toTensor();
    if (!stack[3].toBool() && takes(x, values) && indices.size() == 2 && copied(x, indices.get(0), indices.get(1), values)) {
      stack.resize(1);
      return;
    }
    x.index_put_(indices, values, stack[3].toBool());
    stack.resize(1);
  }

 private:
  static bool takes(const at::Tensor& x, const at::Tensor& values) {
    return is_plain(x) && is_plain(values) && x.size(2) == values.size(2) && x.size(3) == values.size(3) && !x.is_alias_of(values);
  }

  /// False where the indices are none of ours.
  static bool copied(const at::Tensor& x, const std::optional<at::Tensor>& first, const std::optional<at::Tensor>& second, const at::Tensor& values) {
    const std::int64_t rows = values.size(0), columns = values.size(1);
    const auto is_index = [&](const std::optional<at::Tensor>& index) {
      return index && index->defined() && index->is_cpu() && index->scalar_type() == at::kLong && index->dim() == 2 && (index->size(0) == 1 || index->size(0) == rows) &&
             (index->size(1) == 1 || index->size(1) == columns);
    };
    if (!is_index(first) || !is_index(second)) return false;
    const auto whole = [](const at::Tensor& a, const at::Tensor& b, std::int64_t axis) { return std::max(a.size(axis), b.size(axis)); };
    if (whole(*first, *second, 0) != rows || whole(*first, *second, 1) != columns) return false;
    float* const to = x.mutable_data_ptr<float>();
    const float* const from = values.const_data_ptr<float>();
    const auto place = [](const at::Tensor& index, std::int64_t n, std::int64_t s, std::int64_t size) {
      const std::int64_t at = index.const_data_ptr<std::int64_t>()[n * step_of(index, 0) + s * step_of(index, 1)];
      TORCH_CHECK_INDEX(at >= -size && at < size, "index ", at, " is out of bounds for a dimension with size ", size);
      return at < 0 ? at + size : at;
    };
    for (std::int64_t n = 0; n < rows; ++n) {
      for (std::int64_t s = 0; s < columns; ++s) {
        float* const row = to + place(*first, n, s, x.size(0)) * x.stride(0) + place(*second, n, s, x.size(1)) * x.stride(1);
        const float* const value = from + n * values.stride(0) + s * values.stride(1);
        for (std::int64_t k = 0; k < x.size(2); ++k) {
          std::memcpy(row + k * x.stride(2), value + k * values.stride(2), static_cast<std::size_t>(x.size(3)) * sizeof(float));
        }
      }
    }
    return true;
  }
};

}  // namespace

std::shared_ptr<const Kernel> one_query(std::int64_t repeats) { return std::make_shared<OneQuery>(repeats); }

std::shared_ptr<const Kernel> put_rows() { return std::make_shared<PutRows>(); }

}  // namespace portfire::graph
