#include "tasks/generation/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include <portfire/error.h>

#include "core/text.h"
#include "tasks/generation/likelihood.h"

namespace portfire {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr std::int64_t kMostSequences = 64;
constexpr double kLeast = 1e-6;  // scores are float32: what is beyond these would make no numbers of them
constexpr double kMost = 1e6;

void require(bool holds, const std::string& name, double value, const std::string& allowed) {
  if (!holds) throw Error(ErrorCode::kInvalidArgument, cat(name, " is ", value, "; ", allowed));
}

std::uint64_t mixed(std::uint64_t seed, std::uint64_t number) {
  std::seed_seq sequence{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32), static_cast<std::uint32_t>(number)};
  std::uint32_t words[2];
  sequence.generate(words, words + 2);
  return std::uint64_t{words[0]} << 32 | words[1];
}

bool penalizes(const GenerateOptions& options) { return options.repetition_penalty != 1 || options.frequency_penalty != 0; }

/// Beam search goes by likelihood alone.
void check_beams(const GenerateOptions& options) {
  require(options.num_beams >= 1 && options.num_beams <= kMostSequences, "num_beams", static_cast<double>(options.num_beams), cat("1 (none) to ", kMostSequences));
  require(std::isfinite(options.length_penalty), "length_penalty", options.length_penalty, "a finite number");
  if (options.num_beams == 1) {
    if (options.length_penalty != 1 || options.early_stopping != EarlyStopping::kNo) {
      throw Error(ErrorCode::kInvalidArgument, "length_penalty and early_stopping are for beam search; set num_beams above 1 too");
    }
    return;
  }
  if (options.temperature != 0) {
    throw Error(ErrorCode::kInvalidArgument, cat("num_beams is ", options.num_beams, " and temperature ", options.temperature,
                                                 ": beam search does not draw; set the one to 1 or the other to 0"));
  }
  if (options.num_sequences > options.num_beams) {
    throw Error(ErrorCode::kInvalidArgument, cat("num_sequences is ", options.num_sequences, "; at most num_beams, which is ", options.num_beams));
  }
}

/// All below the k-th largest go; those equal to it stay.
void keep_top_k(std::vector<float>& scores, std::int64_t k) {
  if (k <= 0 || static_cast<std::size_t>(k) >= scores.size()) return;
  std::vector<float> sorted = scores;
  const auto place = sorted.begin() + static_cast<std::ptrdiff_t>(k) - 1;
  std::nth_element(sorted.begin(), place, sorted.end(), std::greater<>());
  const float least = *place;
  for (float& score : scores) {
    if (score < least) score = kNever;
  }
}

/// From the least likely up (of equals the later first), those go whose probabilities come to 1 - p together; the
/// likeliest stays. In float32 and in this order, as transformers does it: another order would put the edge elsewhere.
void keep_top_p(std::vector<float>& scores, double p) {
  if (p >= 1) return;
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] != scores[b] ? scores[a] < scores[b] : a > b; });
  const float most = scores[order.back()];
  double sum = 0;
  for (const float score : scores) sum += std::exp(static_cast<double>(score - most));
  float reached = 0;
  for (std::size_t k = 0; k + 1 < order.size(); ++k) {
    reached += static_cast<float>(std::exp(static_cast<double>(scores[order[k]] - most)) / sum);
    if (reached > static_cast<float>(1 - p)) break;
    scores[order[k]] = kNever;
  }
}

void keep_min_p(std::vector<float>& scores, double p) {
  if (p <= 0) return;
  const float most = *std::max_element(scores.begin(), scores.end());
  const auto least = static_cast<float>(static_cast<double>(most) + std::log(p));
  for (float& score : scores) {
    if (score < least) score = kNever;
  }
}

}  // namespace

void check_options(const GenerateOptions& options) {
  const auto number = [](std::int64_t value) { return static_cast<double>(value); };
  require(options.max_new_tokens >= 1, "max_new_tokens", number(options.max_new_tokens), "at least 1");
  require(options.temperature == 0 || (options.temperature >= kLeast && options.temperature <= kMost), "temperature", options.temperature,
          cat("0 (the likeliest token), or ", kLeast, " to ", kMost));
  require(options.top_k >= 0, "top_k", number(options.top_k), "0 (all) or more");
  require(options.top_p > 0 && options.top_p <= 1, "top_p", options.top_p, "above 0 and at most 1");
  require(options.min_p >= 0 && options.min_p <= 1, "min_p", options.min_p, "0 to 1");
  require(options.repetition_penalty >= kLeast && options.repetition_penalty <= kMost, "repetition_penalty", options.repetition_penalty, cat(kLeast, " to ", kMost));
  require(std::abs(options.frequency_penalty) <= kMost, "frequency_penalty", options.frequency_penalty, cat(-kMost, " to ", kMost));
  require(options.num_sequences >= 1 && options.num_sequences <= kMostSequences, "num_sequences", number(options.num_sequences), cat("1 to ", kMostSequences));
  check_beams(options);
  if (options.num_sequences > 1 && options.temperature == 0 && options.num_beams == 1) {
    throw Error(ErrorCode::kInvalidArgument, cat("num_sequences is ", options.num_sequences, " with temperature 0: they would all be the same; set a temperature or num_beams"));
  }
  if (options.temperature == 0 && (options.top_k > 0 || options.top_p < 1 || options.min_p > 0)) {
    throw Error(ErrorCode::kInvalidArgument, "top_k, top_p and min_p are for drawing; set a temperature above 0 too");
  }
  for (const std::string& stop : options.stop) {
    if (stop.empty()) throw Error(ErrorCode::kInvalidArgument, "a stop string is empty; it would end every text at once");
  }
}

Sampler::Sampler(const GenerateOptions& options, std::span<const std::int64_t> prompt, std::uint64_t number)
    : options_(options), random_(mixed(options.seed, number)) {
  if (!penalizes(options)) return;
  for (const std::int64_t id : prompt) counts_[id] = 0;
}

void Sampler::penalize(std::vector<float>& scores) const {
  const auto repetition = static_cast<float>(options_.repetition_penalty);
  const auto frequency = static_cast<float>(options_.frequency_penalty);
  for (const auto& [id, count] : counts_) {
    float& score = scores[static_cast<std::size_t>(id)];
    if (repetition != 1) score = score < 0 ? score * repetition : score / repetition;
    score -= frequency * static_cast<float>(count);
  }
}

/// With the probabilities softmax(scores), of which `most` is the greatest.
std::size_t Sampler::drawn(std::span<const float> scores, float most) {
  std::vector<float> weights(scores.size());
  for (std::size_t k = 0; k < scores.size(); ++k) weights[k] = scores[k] == kNever ? 0 : exp_below(scores[k] - most);
  double sum = 0;
  for (const float weight : weights) sum += static_cast<double>(weight);
  double left = static_cast<double>(random_() >> 11) * 0x1.0p-53 * sum;
  std::size_t last = 0;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    if (weights[k] == 0) continue;
    last = k;
    left -= static_cast<double>(weights[k]);
    if (left < 0) break;
  }
  return last;
}

std::vector<float> Sampler::processed(std::span<const float> logits) const {
  std::vector<float> scores(logits.begin(), logits.end());
  penalize(scores);
  if (options_.temperature == 0) return scores;
  if (options_.temperature != 1) {
    for (float& score : scores) score /= static_cast<float>(options_.temperature);
  }
  keep_top_k(scores, options_.top_k);
  keep_top_p(scores, options_.top_p);
  keep_min_p(scores, options_.min_p);
  return scores;
}

void Sampler::count(std::int64_t id) {
  if (penalizes(options_)) ++counts_[id];
}

Sampler::Choice Sampler::next(std::span<const float> logits) {
  const double total = log_sum(logits);
  std::size_t chosen = 0;
  if (options_.temperature == 0 && !penalizes(options_)) {
    chosen = likeliest(logits);
  } else {
    const std::vector<float> scores = processed(logits);
    chosen = likeliest(scores);
    if (options_.temperature > 0) {
      chosen = drawn(scores, scores[chosen]);
    }
  }
  count(static_cast<std::int64_t>(chosen));
  return {static_cast<std::int64_t>(chosen), static_cast<float>(static_cast<double>(logits[chosen]) - total)};
}

}  // namespace portfire
