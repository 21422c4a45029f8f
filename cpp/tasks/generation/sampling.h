#pragma once

#include <cstddef>
#include <vector>

#include "tasks/generation/sampler.h"
#include "tasks/generation/writing.h"

namespace portfire {

/// Texts that take the likeliest token, or draw one, each time.
class Sampling final : public Writing {
 public:
  Sampling(Prompt prompt, const WrittenText& begin);

  [[nodiscard]] const Prompt& prompt() const override { return prompt_; }
  [[nodiscard]] std::int64_t most_rows() const override { return prompt_.options.num_sequences; }
  std::vector<Continuation> advance(std::span<const float> logits) override;
  void cancel() override;
  [[nodiscard]] const GeneratedText& first() const override { return texts_.front().text(); }
  [[nodiscard]] std::span<const std::vector<LikelyToken>> likeliest() const override { return likeliest_; }
  [[nodiscard]] Generation result() const override;

 private:
  /// False when the text ends with the token.
  bool accept(std::size_t sequence, std::span<const float> logits);

  Prompt prompt_;
  std::vector<WrittenText> texts_;
  std::vector<Sampler> samplers_;
  std::vector<std::vector<LikelyToken>> likeliest_;
  std::vector<std::size_t> rows_;  ///< the sequence of each row; empty at first
};

}  // namespace portfire
