#pragma once

#include <span>
#include <string>
#include <string_view>

#include <portfire/export.h>

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

}  // namespace portfire
