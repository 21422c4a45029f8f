#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <portfire/export.h>
#include <portfire/generate.h>
#include <portfire/input.h>
#include <portfire/model.h>

namespace portfire {

struct BatcherOptions {
  std::int64_t max_sequences = 16;   ///< texts that are written at once; a prompt with several texts or beams counts for as many
  std::int64_t max_tokens = 0;       ///< of a prompt and its text together; 0: the package's context
  std::int64_t max_cache_bytes = 0;  ///< of what the model keeps of all texts: fewer are written at once; 0: no bound but these two
  std::int64_t max_waiting = 1024;   ///< prompts that wait for their turn, those included that came since the last step; more are refused
};

/// What a batcher does and has done. Regular.
struct BatcherStats {
  std::int64_t sequences = 0;      ///< texts that are being written
  std::int64_t max_sequences = 0;  ///< at once
  std::int64_t waiting = 0;        ///< prompts
  std::int64_t cache_bytes = 0;    ///< the bound on what the model keeps of all texts
  std::int64_t steps = 0;          ///< calls of the batch since the beginning
  std::int64_t finished = 0;       ///< prompts whose texts have ended by themselves
  std::int64_t cancelled = 0;
  std::int64_t failed = 0;
  bool operator==(const BatcherStats&) const = default;
};

/// Writes the texts of many prompts together, on a thread of its own: they join and leave between steps, each of which is
/// one call of the model for all of them (continuous batching). Prompts are taken in the order in which they come; between two
/// steps at most 512 tokens of a prompt are read, so a long one does not hold up the others. A text has the tokens that
/// it has alone, but where two are equally likely to the last bits. Thread-safe, but for being moved and destroyed.
class PORTFIRE_EXPORT TextBatcher {
 public:
  /// Shares the model. Throws kInvalidArgument where its task is not text-generation or an option means nothing, and
  /// kResourceExhausted where there is no memory for all texts.
  explicit TextBatcher(const Model& model, const BatcherOptions& options = {});
  /// Ends all texts as cancelled.
  ~TextBatcher();
  TextBatcher(TextBatcher&& other) noexcept;
  TextBatcher& operator=(TextBatcher&& other) noexcept;

  /// Waits for its turn and its texts. `cancelled`, where there is one, is asked some twenty times a second meanwhile, on the thread
  /// that called; true gives the texts up: their place is free after the step that runs. Throws what `Model::run` throws,
  /// kOverloaded where too many wait, kCancelled where they were given up.
  Generation generate(const Input& prompt, const GenerateOptions& options = {}, const std::function<bool()>& cancelled = {});
  /// A text that is written whether or not it is asked for; the stream may outlive the batcher. Given up or cancelled, its
  /// place is free after the step that runs. Throws as `generate`, and kInvalidArgument on more than one text.
  [[nodiscard]] TextStream stream(const Input& prompt, const GenerateOptions& options = {});

  [[nodiscard]] BatcherStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace portfire
