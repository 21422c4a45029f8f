#include "tasks/generation/chat.h"

#include <gtest/gtest.h>

#include "../../archive/expect_error.h"

namespace portfire {
namespace {

using test::expect_error;
using Messages = std::vector<ChatMessage>;

constexpr const char* kLines = R"({"user":["U:","\n"],"assistant":["A:","\n"],"system":["S:","\n"],"answer":"A:"})";
const Messages kTalk{{"system", "s"}, {"user", "one"}, {"assistant", "two"}, {"user", "three"}};

std::string text(const std::string& chat, const Messages& messages) { return chat_text(parse_chat(chat, "c.json"), messages).text; }

/// What was said, as the ranges have it.
std::vector<std::string> said(const std::string& chat, const Messages& messages) {
  const ChatText made = chat_text(parse_chat(chat, "c.json"), messages);
  std::vector<std::string> all;
  for (const TextRange& range : made.contents) all.push_back(made.text.substr(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.end - range.begin)));
  return all;
}

TEST(Chat, PutsATurnAroundEachMessage) {
  EXPECT_EQ(text(kLines, kTalk), "S:s\nU:one\nA:two\nU:three\nA:");
  EXPECT_EQ(said(kLines, kTalk), (std::vector<std::string>{"s", "one", "two", "three"}));
  EXPECT_EQ(text(kLines, {{"user", ""}}), "U:\nA:");
  EXPECT_EQ(text(kLines, {{"user", "a"}, {"user", "b"}}), "U:a\nU:b\nA:");
}

TEST(Chat, HasADefaultSystemMessage) {
  const std::string chat = R"({"begin":"<s>","user":["U:","\n"],"assistant":["A:","\n"],"system":["S:","\n"],"answer":"A:","default_system":"kind"})";
  EXPECT_EQ(text(chat, {{"user", "a"}}), "<s>S:kind\nU:a\nA:");
  EXPECT_EQ(text(chat, {{"system", ""}, {"user", "a"}}), "<s>S:\nU:a\nA:");
}

TEST(Chat, PutsTheSystemMessageIntoAUsersWhereItGoesThere) {
  const auto chat = [](const std::string& place) {
    return R"({"user":["[","]"],"assistant":[" ","; "],"system":["<","> "],"answer":"","trim":["user"],"system_place":")" + place + "\"}";
  };
  const Messages talk{{"system", " s "}, {"user", " one "}, {"assistant", " two "}, {"user", " three "}};
  EXPECT_EQ(text(chat("first_user"), talk), "[< s > one]  two ; [three]");
  EXPECT_EQ(text(chat("first_content"), talk), "[< s >  one]  two ; [three]") << "trimmed as one: what is within stays";
  EXPECT_EQ(text(chat("last_user"), talk), "[one]  two ; [< s > three]");
  EXPECT_EQ(said(chat("first_content"), talk), (std::vector<std::string>{" s ", " one", " two ", "three"}));
  EXPECT_EQ(text(chat("first_content"), {{"user", " one "}}), "[one]");
}

TEST(Chat, TrimsAsPythonDoes) {
  const std::string chat = R"({"user":["[","]"],"assistant":["{","}"],"system":["<",">"],"answer":"","trim":["user","assistant","system"]})";
  EXPECT_EQ(text(chat, {{"system", "\n s\t"}, {"user", "\u00a0\u3000a \u2028b\x1c\x1f\u0085"}, {"assistant", " \r\n"}, {"user", "\u200bc"}}), "<s>[a \u2028b]{}[\u200bc]")
      << "a zero-width space is none";
  EXPECT_EQ(said(chat, {{"user", "  "}}), std::vector<std::string>{});
}

TEST(Chat, RefusesWhatItHasNoFormFor) {
  const auto refused = [](const std::string& chat, const Messages& messages, const std::string& part) {
    expect_error([&] { (void)text(chat, messages); }, ErrorCode::kInvalidInput, part);
  };
  const std::string turns = R"({"user":["",""],"assistant":["",""],"answer":"","alternates":true})";
  refused(kLines, {}, "messages does not end with a user's");
  refused(kLines, {{"system", "s"}}, "messages does not end with a user's");
  refused(kLines, {{"user", "a"}, {"assistant", "b"}}, "messages does not end with a user's");
  refused(kLines, {{"user", "a"}, {"system", "s"}, {"user", "b"}}, "messages[1]: a system message within the conversation");
  refused(kLines, {{"king", "a"}}, "messages[0]: the role \"king\" is not known");
  refused(kLines, {{"system", "s"}, {"user", "a\xff"}}, "messages[1]: the content is not UTF-8 at byte 1");
  refused(turns, {{"system", "s"}, {"user", "a"}}, "messages[0]: the model's template has no system message");
  refused(turns, {{"user", "a"}, {"user", "b"}}, "messages[1]: the role is user where assistant is needed");
  refused(turns, {{"assistant", "a"}, {"user", "b"}}, "messages[0]: the role is assistant where user is needed");
}

}  // namespace
}  // namespace portfire
