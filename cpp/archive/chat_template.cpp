#include "archive/chat_template.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "archive/json_node.h"
#include "core/text.h"

namespace portfire {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 20;

constexpr std::array<std::pair<SystemPlace, std::string_view>, 4> kPlaces{{{SystemPlace::kTurn, "turn"},
                                                                           {SystemPlace::kFirstUser, "first_user"},
                                                                           {SystemPlace::kFirstContent, "first_content"},
                                                                           {SystemPlace::kLastUser, "last_user"}}};

ChatTurn turn(const JsonNode& node) {
  const std::vector<JsonNode> parts = node.elements();
  if (parts.size() != 2) node.fail(cat("has ", parts.size(), " texts; two, what stands before a content and what after it"));
  return {.before = parts[0].string(), .after = parts[1].string()};
}

SystemPlace place(const JsonNode& node) {
  const std::string name = node.string();
  const auto found = std::find_if(kPlaces.begin(), kPlaces.end(), [&](const auto& row) { return row.second == name; });
  if (found == kPlaces.end()) node.fail(cat(quoted(name), " is not known; one of turn, first_user, first_content, last_user"));
  return found->first;
}

void trims(const JsonNode& node, ChatSpec& chat) {
  for (const JsonNode& element : node.elements()) {
    const std::string role = element.string();
    if (role == "user") {
      chat.trims_user = true;
    } else if (role == "assistant") {
      chat.trims_assistant = true;
    } else if (role == "system") {
      chat.trims_system = true;
    } else {
      element.fail(cat(quoted(role), " is not a role; one of user, assistant, system"));
    }
  }
}

ChatSpec chat_spec(const JsonNode& node) {
  node.expect_fields({"user", "assistant", "answer"}, {"begin", "system", "system_place", "default_system", "trim", "alternates", "stop"});
  ChatSpec chat;
  chat.user = turn(node.at("user"));
  chat.assistant = turn(node.at("assistant"));
  chat.answer = node.at("answer").string();
  if (node.has("begin")) chat.begin = node.at("begin").string();
  if (node.has("system")) chat.system = turn(node.at("system"));
  if (node.has("system_place")) chat.system_place = place(node.at("system_place"));
  if (node.has("default_system")) chat.default_system = node.at("default_system").string();
  if (node.has("trim")) trims(node.at("trim"), chat);
  if (node.has("alternates")) chat.alternates = node.at("alternates").boolean();
  if (node.has("stop")) {
    for (const JsonNode& stop : node.at("stop").elements()) {
      chat.stop.push_back(stop.string());
      if (chat.stop.back().empty()) stop.fail("is empty; an answer would end before it begins");
    }
  }
  if (!chat.system && (chat.default_system || chat.trims_system || chat.system_place != SystemPlace::kTurn)) {
    node.fail("says something of system messages, and has no \"system\" to put around them");
  }
  return chat;
}

}  // namespace

ChatSpec parse_chat(std::string_view json, const std::string& name) {
  const nlohmann::json document = parse_strict_json(json, name, kMostBytes);
  return chat_spec(JsonNode(document, name));
}

}  // namespace portfire
