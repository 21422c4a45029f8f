#include <portfire/chat.h>

#include "archive/chat_template.h"
#include "tasks/generation/chat.h"

namespace portfire {

std::string chat_text(std::string_view chat_json, std::span<const ChatMessage> messages) { return chat_text(parse_chat(chat_json, "chat"), messages).text; }

}  // namespace portfire
