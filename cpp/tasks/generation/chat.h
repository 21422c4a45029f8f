#pragma once

#include <span>
#include <string>
#include <vector>

#include <portfire/chat.h>
#include <portfire/tokenizer.h>

#include "archive/chat_template.h"

namespace portfire {

/// A conversation as the text that its answer follows.
struct ChatText {
  std::string text;
  std::vector<TextRange> contents;  ///< what was said, in order; the rest is the template's
};

/// Throws kInvalidInput on a conversation that the template has no form for.
ChatText chat_text(const ChatSpec& chat, std::span<const ChatMessage> messages);

}  // namespace portfire
