#include "tasks/generation/chat.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

#include <portfire/error.h>

#include "codecs/text/characters.h"
#include "codecs/text/utf8.h"
#include "core/text.h"

namespace portfire {
namespace {

/// What Python's str.strip takes off.
bool is_stripped(char32_t c) { return text::is_whitespace(c) || (c >= 0x1C && c <= 0x1F); }

TextRange stripped(std::string_view whole) {
  std::size_t begin = 0;
  std::size_t end = whole.size();
  while (begin < end) {
    const text::CodePoint c = text::code_point_at(whole, begin);
    if (!is_stripped(c.value)) break;
    begin += c.bytes;
  }
  while (begin < end) {
    const text::CodePoint c = text::code_point_before(whole, end);
    if (!is_stripped(c.value)) break;
    end -= c.bytes;
  }
  return {static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end)};
}

void add(ChatText& to, std::string_view fixed) { to.text += fixed; }

void add_content(ChatText& to, std::string_view content) {
  const auto begin = static_cast<std::int64_t>(to.text.size());
  to.text += content;
  if (!content.empty()) to.contents.push_back({begin, static_cast<std::int64_t>(to.text.size())});
}

/// `part` at the end of `to`, without the white space around it where it `trims`.
void add(ChatText& to, const ChatText& part, bool trims) {
  const TextRange kept = trims ? stripped(part.text) : TextRange{0, static_cast<std::int64_t>(part.text.size())};
  const std::int64_t shift = static_cast<std::int64_t>(to.text.size()) - kept.begin;
  to.text += std::string_view(part.text).substr(static_cast<std::size_t>(kept.begin), static_cast<std::size_t>(kept.end - kept.begin));
  for (const TextRange& range : part.contents) {
    const TextRange cut{std::max(range.begin, kept.begin), std::min(range.end, kept.end)};
    if (cut.begin < cut.end) to.contents.push_back({cut.begin + shift, cut.end + shift});
  }
}

ChatText content_of(const std::string& content) {
  ChatText made;
  add_content(made, content);
  return made;
}

[[noreturn]] void refuse(std::size_t number, const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, cat("messages[", number, "]: ", problem));
}

/// Throws where the conversation has no form.
void check(const ChatSpec& chat, std::span<const ChatMessage> messages) {
  std::size_t turns = 0;
  for (std::size_t k = 0; k < messages.size(); ++k) {
    if (const auto at = find_invalid_utf8(messages[k].content)) refuse(k, cat("the content is not UTF-8 at byte ", *at));
    const std::string& role = messages[k].role;
    if (role == "system") {
      if (!chat.system) refuse(k, "the model's template has no system message; say it in the user's");
      if (k > 0) refuse(k, "a system message within the conversation; it has its place at the beginning, once");
      continue;
    }
    if (role != "user" && role != "assistant") refuse(k, cat("the role ", quoted(role), " is not known; one of system, user, assistant"));
    if (chat.alternates && (role == "user") != (turns % 2 == 0)) {
      refuse(k, cat("the role is ", role, " where ", turns % 2 == 0 ? "user" : "assistant", " is needed: in the model's template they take turns"));
    }
    ++turns;
  }
  if (messages.empty() || messages.back().role != "user") throw Error(ErrorCode::kInvalidInput, "messages does not end with a user's, which is what is answered");
}

}  // namespace

ChatText chat_text(const ChatSpec& chat, std::span<const ChatMessage> messages) {
  check(chat, messages);
  std::optional<std::string> said = chat.default_system;
  if (messages.front().role == "system") {
    said = messages.front().content;
    messages = messages.subspan(1);
  }
  ChatText system;
  if (said) {
    add(system, chat.system->before);
    add(system, content_of(*said), chat.trims_system);
    add(system, chat.system->after);
  }
  ChatText made{.text = chat.begin, .contents = {}};
  if (chat.system_place == SystemPlace::kTurn) add(made, system, false);
  bool is_first = true;
  for (const ChatMessage& message : messages) {
    const bool is_user = message.role == "user";
    const ChatTurn& turn = is_user ? chat.user : chat.assistant;
    ChatText content = content_of(message.content);
    add(made, turn.before);
    if (is_user && is_first && chat.system_place == SystemPlace::kFirstContent) {
      add(system, content, false);
      content = std::move(system);
    } else if (is_user && (chat.system_place == SystemPlace::kLastUser ? &message == &messages.back() : is_first && chat.system_place == SystemPlace::kFirstUser)) {
      add(made, system, false);
    }
    is_first = is_first && !is_user;
    add(made, content, is_user ? chat.trims_user : chat.trims_assistant);
    add(made, turn.after);
  }
  add(made, chat.answer);
  return made;
}

}  // namespace portfire
