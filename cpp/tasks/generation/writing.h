#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <portfire/generate.h>
#include <portfire/manifest.h>
#include <portfire/tokenizer.h>

#include "tasks/generation/likelihood.h"
#include "tasks/generation/written_text.h"

namespace portfire {

/// A prompt and how it is to be written on.
struct Prompt {
  std::vector<std::int64_t> ids;  ///< not empty, within the context
  GenerateOptions options;        ///< `stop_tokens` with those of the package, in order
  std::int64_t vocabulary = 0;
  std::int64_t most_new = 0;      ///< tokens: what was asked for, or what the context leaves, one at least

  std::int64_t likeliest = 0;     ///< so many tokens that could have come are kept with each of the first text; not of beams

  [[nodiscard]] bool is_stop(std::int64_t id) const;
  /// Tokens that the state has to hold: all but the last, which nobody reads.
  [[nodiscard]] std::int64_t length() const { return static_cast<std::int64_t>(ids.size()) + most_new - 1; }
};

/// `context` is the most tokens of prompt and text together. Throws kInvalidArgument on options that mean nothing.
Prompt prompt_for(const Manifest& manifest, std::vector<std::int64_t> ids, GenerateOptions options, std::int64_t context);

/// A row that goes on: the row that it comes from, and the token that it takes.
struct Continuation {
  std::size_t parent = 0;
  std::int64_t token = 0;
  bool operator==(const Continuation&) const = default;
};

/// The texts of one prompt. A row is a text that goes on; there is one, the prompt, at first. One thread at a time.
class Writing {
 public:
  virtual ~Writing() = default;
  Writing() = default;
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;

  [[nodiscard]] virtual const Prompt& prompt() const = 0;
  /// The most rows that there will be at once.
  [[nodiscard]] virtual std::int64_t most_rows() const = 0;
  /// `logits` [rows, V] are those after each row's last token. The rows from here on; none when all texts have ended.
  virtual std::vector<Continuation> advance(std::span<const float> logits) = 0;
  /// Ends what has not ended.
  virtual void cancel() = 0;
  /// The first text as far as it is certain.
  [[nodiscard]] virtual const GeneratedText& first() const = 0;
  /// What `Prompt::likeliest` asks for, for each token of the first text, the likeliest first; empty where it asks for none.
  [[nodiscard]] virtual std::span<const std::vector<LikelyToken>> likeliest() const { return {}; }
  [[nodiscard]] virtual Generation result() const = 0;
};

/// Beam search where `options.num_beams` asks for it, else one token after another.
std::unique_ptr<Writing> make_writing(Prompt prompt, const Tokenizer& tokenizer);

}  // namespace portfire
