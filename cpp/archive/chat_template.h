#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace portfire {

/// What stands around the content of a message.
struct ChatTurn {
  std::string before;
  std::string after;
};

/// Where the system message of a conversation goes.
enum class SystemPlace : std::uint8_t {
  kTurn,          ///< a turn of its own, the first
  kFirstUser,     ///< between what stands before the first user message and its content
  kFirstContent,  ///< the same, and it is trimmed with that content as one
  kLastUser,      ///< as kFirstUser, in the last user message
};

/// How a conversation becomes a prompt: docs/package-format.md, field by field.
struct ChatSpec {
  std::string begin{};  ///< before the first turn
  ChatTurn user{};
  ChatTurn assistant{};
  std::optional<ChatTurn> system{};  ///< nothing: no system message is taken
  SystemPlace system_place = SystemPlace::kTurn;
  std::optional<std::string> default_system{};  ///< where a conversation has none
  std::string answer{};                         ///< after the last turn: the answer follows
  bool trims_user = false;                      ///< contents lose the white space around them, as Python's str.strip has it
  bool trims_assistant = false;
  bool trims_system = false;
  bool alternates = false;          ///< user and assistant take turns, the user first; nothing else is taken
  std::vector<std::string> stop{};  ///< each ends an answer: as a token where it is one, else as text
};

/// The template in a packaged `assets/chat.json`; `name` is what errors call it. Throws kInvalidPackage.
ChatSpec parse_chat(std::string_view json, const std::string& name);

}  // namespace portfire
