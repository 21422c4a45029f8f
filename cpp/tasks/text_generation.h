#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <portfire/generate.h>

#include "tasks/generation/chat.h"
#include "tasks/generation/generation_batch.h"
#include "tasks/generation/writing.h"
#include "tasks/task.h"
#include "tasks/text_input.h"

namespace portfire {

/// A prompt to the text that follows it.
class TextGeneration final : public Task {
 public:
  /// Throws kInvalidPackage where the tokenizer has ids that `forward` does not take, or the chat template is none.
  TextGeneration(const Manifest& manifest, const AssetReader& asset);

  std::vector<NamedTensor> decode(const Input& input) const override;
  bool staged() const override { return false; }
  bool loops() const override { return true; }
  /// Up to `kMostTogether` texts are written together.
  std::vector<Outcome> run_each(const Engine& engine, std::span<const Input> inputs, const RunOptions& options) const override;
  /// "forward/logits": after each token of the text but the last, float32 [L - 1, V].
  std::vector<NamedTensor> trace(const Engine& engine, const Input& input) const override;
  Answer answer(std::vector<NamedTensor> outputs, const RunOptions& options) const override;

  /// `context` is the most tokens of prompt and text together; 0: the package's. `likeliest` as `Prompt` has it. Throws
  /// kInvalidInput, kInvalidArgument.
  [[nodiscard]] std::unique_ptr<Writing> start(const Input& prompt, const GenerateOptions& options, std::int64_t context = 0, std::int64_t likeliest = 0) const;

  /// The prompt of a conversation, as token ids; `options` get what ends an answer beside what ends a text. Throws kUnsupported where
  /// the package has no chat template, kInvalidInput.
  [[nodiscard]] Input chat(std::span<const ChatMessage> messages, GenerateOptions& options) const;
  /// Of the messages that `chat` takes; empty where the package has no chat template.
  [[nodiscard]] std::vector<std::string> chat_roles() const;
  [[nodiscard]] const Tokenizer& tokenizer() const noexcept { return text_.tokenizer(); }

  static constexpr std::int64_t kMostTogether = 16;

 private:
  [[nodiscard]] GenerationBatch batch_for(const Engine& engine, std::int64_t count, std::int64_t each, std::int64_t length) const;
  [[nodiscard]] std::vector<std::int64_t> ids(const Input& input, std::int64_t context) const;

  Manifest manifest_;
  TextInput text_;
  std::optional<ChatSpec> chat_;
};

std::unique_ptr<Task> make_text_generation(const Manifest& manifest, const AssetReader& asset);

}  // namespace portfire
