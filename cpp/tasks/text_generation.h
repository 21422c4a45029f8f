#pragma once

#include <memory>

#include <portfire/generate.h>

#include "tasks/generation/generator.h"
#include "tasks/task.h"
#include "tasks/text_input.h"

namespace portfire {

/// A prompt to the text that follows it.
class TextGeneration final : public Task {
 public:
  /// Throws kInvalidPackage where the tokenizer has ids that `forward` does not take.
  TextGeneration(const Manifest& manifest, const AssetReader& asset);

  std::vector<NamedTensor> decode(const Input& input) const override;
  bool staged() const override { return false; }
  bool loops() const override { return true; }
  Answer run(const Engine& engine, const Input& input, const RunOptions& options) const override;
  /// "forward/logits": after each token of the text but the last, float32 [L - 1, V].
  std::vector<NamedTensor> trace(const Engine& engine, const Input& input) const override;
  Answer answer(std::vector<NamedTensor> outputs, const RunOptions& options) const override;

  /// Refers to the engine and to this. Throws kInvalidInput, kInvalidArgument.
  [[nodiscard]] Generator start(const Engine& engine, const Input& prompt, const GenerateOptions& options) const;

 private:
  [[nodiscard]] std::vector<std::int64_t> ids(const Input& input) const;

  Manifest manifest_;
  TextInput text_;
};

std::unique_ptr<Task> make_text_generation(const Manifest& manifest, const AssetReader& asset);

}  // namespace portfire
