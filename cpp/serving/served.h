#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "serving/batcher.h"
#include "serving/crew.h"
#include "serving/loaded.h"
#include "serving/text_worker.h"

namespace portfire::serving {

struct ServingOptions {
  BatchingOptions batching{};
  std::int64_t max_texts = 16;         ///< written at once
  std::int64_t max_cache_bytes = 0;    ///< of what a model keeps of all texts; 0: no bound
};

/// A version that answers. Thread-safe; must be let go of on a thread that may wait for a text's step to end.
class Served {
 public:
  /// Throws kResourceExhausted where there is no memory for texts.
  Served(std::string name, std::int64_t version, Loaded model, const ServingOptions& options, Crew& crew);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::int64_t version() const noexcept { return version_; }
  [[nodiscard]] const ModelInfo& info() const noexcept { return *model_.info; }
  [[nodiscard]] const Loaded& model() const noexcept { return model_; }
  [[nodiscard]] Batcher& batcher() const noexcept { return *batcher_; }
  [[nodiscard]] const Counters& counters() const noexcept { return batcher_->counters(); }

  [[nodiscard]] bool writes_text() const noexcept { return model_.text != nullptr; }
  /// A text's beginning among the others. Throws as `TextBatcher::stream`, and kUnsupported where the model writes none.
  /// `told` as `TextWorker::submit` has it, `likeliest` as `Prompt`; `prompt_ids`, where it is given, gets the prompt's tokens.
  std::shared_ptr<Ticket> write(const Input& prompt, const GenerateOptions& options, std::function<void(Ticket&)> told = {},
                                std::vector<std::int64_t>* prompt_ids = nullptr, std::int64_t likeliest = 0) const;
  /// What makes prompts and reads tokens. Throws kUnsupported where the model writes no texts.
  [[nodiscard]] const TextGeneration& text() const;
  /// Null where the model writes no texts.
  [[nodiscard]] const TextCounters* text_counters() const noexcept { return text_counters_.get(); }
  /// Of texts; nothing where the model writes none.
  [[nodiscard]] std::optional<BatcherStats> text_stats() const;

 private:
  const std::string name_;
  const std::int64_t version_;
  const Loaded model_;
  const std::shared_ptr<Batcher> batcher_;
  std::shared_ptr<TextCounters> text_counters_;
  std::int64_t length_ = 0;
  CallCost step_cost_;  ///< of all texts that are written
  std::unique_ptr<TextWorker> text_;
};

}  // namespace portfire::serving
