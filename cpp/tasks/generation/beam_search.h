#pragma once

#include <cstddef>
#include <vector>

#include "tasks/generation/sampler.h"
#include "tasks/generation/writing.h"

namespace portfire {

/// The likeliest texts as a whole, as far as following the best `num_beams` beginnings finds them. The rules are those of
/// transformers 5 (docs/generation.md).
class BeamSearch final : public Writing {
 public:
  BeamSearch(Prompt prompt, const WrittenText& begin);

  [[nodiscard]] const Prompt& prompt() const override { return prompt_; }
  [[nodiscard]] std::int64_t most_rows() const override { return prompt_.options.num_beams; }
  std::vector<Continuation> advance(std::span<const float> logits) override;
  void cancel() override;
  /// Empty before the end: until then another beginning may turn out the better one.
  [[nodiscard]] const GeneratedText& first() const override { return beams_.empty() && !finished_.empty() ? finished_.front().text.text() : nothing_; }
  /// The best `num_sequences`, the best first.
  [[nodiscard]] Generation result() const override;

 private:
  struct Beam {
    WrittenText text;
    Sampler penalties;
    float score = 0;  ///< the sum of log-probabilities, penalties counted in
  };
  struct Candidate {
    std::size_t beam = 0;
    std::int64_t token = 0;
    float score = 0;
    float log_probability = 0;
  };
  struct Finished {
    WrittenText text;
    float score = 0;  ///< divided by length^length_penalty
  };

  std::vector<Candidate> candidates(std::span<const float> logits) const;
  Beam extended(const Candidate& candidate) const;
  void finish(WrittenText text, float score);
  [[nodiscard]] float by_length(float score, std::int64_t length) const;
  [[nodiscard]] bool full() const { return finished_.size() == static_cast<std::size_t>(prompt_.options.num_beams); }
  [[nodiscard]] bool may_improve() const;

  Prompt prompt_;
  std::vector<Beam> beams_;         ///< the best first
  std::vector<Finished> finished_;  ///< the best first
  GeneratedText nothing_;
  std::int64_t written_ = 0;        ///< tokens of each beam
};

}  // namespace portfire
