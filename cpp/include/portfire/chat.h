#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <portfire/export.h>
#include <portfire/model.h>

namespace portfire {

/// One message of a conversation.
struct ChatMessage {
  std::string role;  ///< "system", "user" or "assistant"
  std::string content;
  bool operator==(const ChatMessage&) const = default;
};

/// The prompt that a chat template, a package's `assets/chat.json`, makes of a conversation. Throws kInvalidPackage where that is none, and
/// kInvalidInput on a conversation that it has no form for.
PORTFIRE_EXPORT std::string chat_text(std::string_view chat_json, std::span<const ChatMessage> messages);

/// Whose messages the model takes: "system" (not every template), "user", "assistant". Empty where its package has no chat template.
PORTFIRE_EXPORT std::vector<std::string> chat_roles(const Model& model);

/// Task text-generation: the answer to a conversation by the package's chat template, which ends it too, else as `Model::stream`.
/// Special tokens that are spelled in a message are text. Throws kInvalidArgument where the model has another task, kUnsupported where
/// its package has no chat template, and kInvalidInput on a conversation that the template has no form for or that is longer than the context.
[[nodiscard]] PORTFIRE_EXPORT TextStream chat_stream(const Model& model, std::span<const ChatMessage> messages, const GenerateOptions& options = {});
/// The same whole, as many answers as `options.generate` asks for.
[[nodiscard]] PORTFIRE_EXPORT Generation chat(const Model& model, std::span<const ChatMessage> messages, const RunOptions& options = {});

}  // namespace portfire
