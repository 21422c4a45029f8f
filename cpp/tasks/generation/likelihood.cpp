#include "tasks/generation/likelihood.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {
namespace {

constexpr std::size_t kLanes = 16;
constexpr std::size_t kBlock = 1024;  // values that are summed in float32: 64 in each lane

using Lanes = std::array<float, kLanes>;

float greatest(std::span<const float> values) {
  Lanes most;
  most.fill(-std::numeric_limits<float>::infinity());
  std::size_t k = 0;
  for (; k + kLanes <= values.size(); k += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) most[lane] = most[lane] < values[k + lane] ? values[k + lane] : most[lane];
  }
  for (; k < values.size(); ++k) most[0] = most[0] < values[k] ? values[k] : most[0];
  return *std::max_element(most.begin(), most.end());
}

/// The sum of exp(value - most) over at most kBlock values.
double sum_of(std::span<const float> values, float most) {
  Lanes sums{};
  std::size_t k = 0;
  for (; k + kLanes <= values.size(); k += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += exp_below(values[k + lane] - most);
  }
  double sum = 0;
  for (; k < values.size(); ++k) sum += static_cast<double>(exp_below(values[k] - most));
  for (const float lane : sums) sum += static_cast<double>(lane);
  return sum;
}

}  // namespace

std::size_t likeliest(std::span<const float> logits) {
  const auto found = std::find(logits.begin(), logits.end(), greatest(logits));
  return found == logits.end() ? 0 : static_cast<std::size_t>(found - logits.begin());
}

double log_sum(std::span<const float> logits) {
  const float most = greatest(logits);
  double sum = 0;
  for (std::size_t first = 0; first < logits.size(); first += kBlock) sum += sum_of(logits.subspan(first, std::min(kBlock, logits.size() - first)), most);
  const double total = static_cast<double>(most) + std::log(sum);
  if (!std::isfinite(total)) throw Error(ErrorCode::kInvalidPackage, cat("the model gave logits that are no numbers (their greatest is ", most, ")"));
  return total;
}

std::vector<float> log_softmax(std::span<const float> logits) {
  const double total = log_sum(logits);
  std::vector<float> scores;
  scores.reserve(logits.size());
  for (const float logit : logits) scores.push_back(static_cast<float>(static_cast<double>(logit) - total));
  return scores;
}

std::vector<LikelyToken> most_likely(std::span<const float> logits, std::int64_t count) {
  const double total = log_sum(logits);
  const auto logit = [&](std::int64_t id) { return logits[static_cast<std::size_t>(id)]; };
  std::vector<std::int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(std::min(static_cast<std::size_t>(count), order.size()));
  std::partial_sort(order.begin(), end, order.end(), [&](std::int64_t a, std::int64_t b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; });
  std::vector<LikelyToken> tokens;
  for (auto id = order.begin(); id != end; ++id) tokens.push_back({.id = *id, .log_probability = static_cast<float>(static_cast<double>(logit(*id)) - total)});
  return tokens;
}

}  // namespace portfire
