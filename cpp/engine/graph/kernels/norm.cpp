#include "engine/graph/kernels/norm.h"

#include <ATen/Parallel.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

#include "engine/graph/kernels/direct/rows.h"

namespace portfire::graph {
namespace {

/// Of (x - shift)^power, as many sums as a compiler can make at once.
template <int Power>
float sum_of(std::span<const float> x, float shift) {
  std::array<float, 16> sums{};
  const auto term = [shift](float value) { return Power == 2 ? (value - shift) * (value - shift) : value; };
  std::size_t k = 0;
  for (; k + sums.size() <= x.size(); k += sums.size()) {
    for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += term(x[k + j]);
  }
  for (; k < x.size(); ++k) sums[0] += term(x[k]);
  return std::accumulate(sums.begin(), sums.end(), 0.0F);
}

class Norm final : public Kernel {
 public:
  Norm(const at::Tensor& weight, const at::Tensor& bias, std::int64_t size, double epsilon, bool is_rms)
      : size_(size), epsilon_(epsilon), is_rms_(is_rms), scale_(weight.defined() ? weight.contiguous() : at::ones({size})),
        shift_(bias.defined() ? bias.contiguous() : at::zeros({size})) {
    if (weight.defined()) weight_ = weight;
    if (bias.defined()) bias_ = bias;
  }

  void run(torch::jit::Stack& stack) const override {
    const at::Tensor x = stack[0].toTensor();
    const bool ours = x.is_cpu() && x.scalar_type() == at::kFloat && x.layout() == at::kStrided && !x.is_neg() && x.dim() > 0 && x.size(-1) == size_ && x.is_contiguous();
    at::Tensor y = ours ? normed(x) : is_rms_ ? at::rms_norm(x, {size_}, weight_, epsilon_) : at::layer_norm(x, {size_}, weight_, bias_, epsilon_);
    stack.clear();
    stack.emplace_back(std::move(y));
  }

 private:
  at::Tensor normed(const at::Tensor& x) const {
    at::Tensor y = direct::make_empty(x.sizes());
    const float* const from = x.const_data_ptr<float>();
    const float* const scale = scale_.const_data_ptr<float>();
    const float* const shift = shift_.const_data_ptr<float>();
    float* const to = y.mutable_data_ptr<float>();
    constexpr std::int64_t kValuesOfAThread = 1 << 15;
    at::parallel_for(0, x.numel() / size_, std::max<std::int64_t>(1, kValuesOfAThread / size_), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t row = first; row < last; ++row) {
        const std::span values(from + row * size_, static_cast<std::size_t>(size_));
        const float count = static_cast<float>(size_);
        const float mean = is_rms_ ? 0 : sum_of<1>(values, 0) / count;
        const float factor = 1 / std::sqrt(sum_of<2>(values, mean) / count + static_cast<float>(epsilon_));
        float* const out = to + row * size_;
        for (std::int64_t k = 0; k < size_; ++k) out[k] = (values[static_cast<std::size_t>(k)] - mean) * factor * scale[k] + shift[k];
      }
    });
    return y;
  }

  std::int64_t size_;
  double epsilon_;
  bool is_rms_;
  at::Tensor scale_, shift_;
  std::optional<at::Tensor> weight_, bias_;
};

}  // namespace

std::shared_ptr<const Kernel> norm(const at::Tensor& weight, const at::Tensor& bias, std::int64_t size, double epsilon, bool is_rms) {
  return std::make_shared<Norm>(weight, bias, size, epsilon, is_rms);
}

}  // namespace portfire::graph
