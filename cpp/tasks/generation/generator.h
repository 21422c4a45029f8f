#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <portfire/generate.h>
#include <portfire/manifest.h>
#include <portfire/tokenizer.h>

#include "core/engine.h"
#include "tasks/generation/sampler.h"
#include "tasks/generation/state.h"
#include "tasks/generation/stop_strings.h"

namespace portfire {

/// Writes the texts of one prompt, all of them a token further with each step. Refers to the engine and the manifest.
/// One thread at a time.
class Generator {
 public:
  /// `prompt` is not empty and fits the context. Throws kInvalidArgument on options that mean nothing.
  Generator(const Engine& engine, const Manifest& manifest, const Tokenizer& tokenizer, std::vector<std::int64_t> prompt, const GenerateOptions& options);

  /// One more token for each text that has not ended; false when all have. Throws what `forward` throws.
  bool step();
  /// Ends what has not ended.
  void cancel();

  /// The text of sequence `k` that has become certain since this was called last.
  [[nodiscard]] std::string take_text(std::size_t k);
  [[nodiscard]] Generation result() const;

  /// The logits after each of `ids` but the last, float32 [L - 1, V]: the first half of them in one call, the others one
  /// by one, as `step` makes them.
  static Tensor score(const Engine& engine, const Manifest& manifest, std::span<const std::int64_t> ids);

 private:
  struct Sequence {
    GeneratedText text;
    Sampler sampler;
    DecodeStream decoder;
    StopStrings stops;
    std::string untaken;
    bool ended = false;
  };

  void start();
  void accept(Sequence& sequence, std::span<const float> logits);
  void end(Sequence& sequence, const std::string& reason);
  /// Texts that have ended leave the batch: the last row takes their place.
  void compact();

  const Engine& engine_;
  const Manifest& manifest_;
  std::vector<std::int64_t> prompt_;
  GenerateOptions options_;
  std::int64_t vocabulary_;
  std::int64_t room_;  ///< tokens of prompt and text together
  GenerationState state_;
  std::vector<Sequence> sequences_;
  std::vector<std::size_t> rows_;  ///< the sequence in each row of the batch
  bool started_ = false;
};

}  // namespace portfire
