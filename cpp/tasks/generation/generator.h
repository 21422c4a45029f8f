#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <portfire/manifest.h>

#include "core/engine.h"
#include "tasks/generation/generation_batch.h"
#include "tasks/generation/writing.h"

namespace portfire {

/// Writes the texts of one prompt, by themselves. Refers to the engine and the manifest. One thread at a time.
class Generator {
 public:
  Generator(const Engine& engine, const Manifest& manifest, std::unique_ptr<Writing> writing);

  /// One more token for each text that has not ended; false when all have. Throws what `forward` throws.
  bool step();
  /// Ends what has not ended.
  void cancel();

  /// What of the first text has become certain since this was called last.
  [[nodiscard]] std::string take_text();
  [[nodiscard]] Generation result() const { return writing_->result(); }

 private:
  std::shared_ptr<Writing> writing_;
  GenerationBatch batch_;
  std::size_t taken_ = 0;  ///< bytes of the first text
};

}  // namespace portfire
