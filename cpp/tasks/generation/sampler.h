#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <span>
#include <vector>

#include <portfire/generate.h>

namespace portfire {

/// Throws kInvalidArgument on options that mean nothing or contradict one another.
void check_options(const GenerateOptions& options);

/// Chooses one token after another for one text. Not thread-safe.
class Sampler {
 public:
  /// `prompt` counts for the repetition penalty. `number` tells the texts of one prompt apart.
  Sampler(const GenerateOptions& options, std::span<const std::int64_t> prompt, std::uint64_t number);

  struct Choice {
    std::int64_t id = 0;
    float log_probability = 0;  ///< by softmax of the bare logits
  };
  /// `logits` is float32 [V]. Throws kInvalidPackage where no logit is a number above -inf, or one is NaN.
  Choice next(std::span<const float> logits);

  /// The logits as they are drawn from: penalties, temperature, -inf for what is left out.
  [[nodiscard]] std::vector<float> processed(std::span<const float> logits) const;
  /// One more token of the text that `next` did not choose.
  void count(std::int64_t id);

 private:
  void penalize(std::vector<float>& scores) const;
  std::size_t drawn(std::span<const float> scores, float most);

  GenerateOptions options_;
  std::map<std::int64_t, std::int64_t> counts_{};  ///< of the tokens in the prompt or the text: how often in the text; empty without penalties
  std::mt19937_64 random_;
};

}  // namespace portfire
