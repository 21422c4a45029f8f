#include <algorithm>
#include <string>
#include <vector>

#include "archive/chat_template.h"
#include "fuzz.h"
#include "tasks/generation/chat.h"

namespace {

std::string role_of(char letter) { return letter == 's' ? "system" : letter == 'a' ? "assistant" : letter == 'u' ? "user" : std::string(1, letter); }

}  // namespace

// Up to the first NUL the input is an assets/chat.json; each part after another NUL is a message, its first letter the role.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  std::size_t at = std::min(input.find('\0'), size);
  const std::string json = input.substr(0, at);
  std::vector<portfire::ChatMessage> messages;
  while (at < size) {
    const std::size_t end = std::min(input.find('\0', at + 1), size);
    const std::string part = input.substr(at + 1, end - at - 1);
    messages.push_back({role_of(part.empty() ? 'u' : part[0]), part.empty() ? "" : part.substr(1)});
    at = end;
  }
  if (messages.empty()) messages = {{"system", " Be brief. "}, {"user", "Hello"}, {"assistant", "Hi"}, {"user", "\tMore\n"}};
  portfire::refuse_or_use_file([&] {
    const portfire::ChatSpec chat = portfire::parse_chat(json, "fuzz");
    const portfire::ChatText made = portfire::chat_text(chat, messages);
    std::size_t said = chat.default_system ? chat.default_system->size() : 0;
    for (const portfire::ChatMessage& message : messages) said += message.content.size();
    // What was said stands in order within the text, and no template's byte is taken for it.
    std::int64_t before = 0;
    std::size_t marked = 0;
    for (const portfire::TextRange& range : made.contents) {
      portfire::require(before <= range.begin && range.begin < range.end && range.end <= static_cast<std::int64_t>(made.text.size()));
      marked += static_cast<std::size_t>(range.end - range.begin);
      before = range.end;
    }
    portfire::require(marked <= said);
  });
  return 0;
}
