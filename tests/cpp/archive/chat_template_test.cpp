#include "archive/chat_template.h"

#include <gtest/gtest.h>

#include "expect_error.h"

namespace portfire {
namespace {

using test::expect_error;

TEST(ParseChat, ReadsEveryField) {
  const ChatSpec chat = parse_chat(
      R"({"begin":"<s>","user":["a","b"],"assistant":["c","d"],"system":["e","f"],"system_place":"last_user","default_system":"g","answer":"h",)"
      R"("trim":["assistant","system"],"alternates":true,"stop":["i"]})",
      "c.json");
  EXPECT_EQ(chat.begin + chat.user.before + chat.user.after + chat.assistant.before + chat.assistant.after + chat.answer, "<s>abcdh");
  ASSERT_TRUE(chat.system && chat.default_system);
  EXPECT_EQ(chat.system->before + chat.system->after + *chat.default_system, "efg");
  EXPECT_EQ(chat.system_place, SystemPlace::kLastUser);
  EXPECT_TRUE(!chat.trims_user && chat.trims_assistant && chat.trims_system && chat.alternates);
  EXPECT_EQ(chat.stop, std::vector<std::string>{"i"});
}

TEST(ParseChat, NamesDamage) {
  const auto refused = [](const std::string& json, const std::string& part) {
    expect_error([&] { (void)parse_chat(json, "c.json"); }, ErrorCode::kInvalidPackage, part);
  };
  const auto with = [](const std::string& more) { return R"({"user":["",""],"assistant":["",""],"answer":"")" + more + "}"; };
  (void)parse_chat(with(""), "c.json");
  refused("", "c.json");
  refused("[]", "c.json");
  refused(R"({"user":["",""],"assistant":["",""]})", "the field \"answer\" is missing");
  refused(with(R"(,"more":1)"), "more");
  refused(with(R"(,"system":["a"])"), "system: has 1 texts; two");
  refused(with(R"(,"system":["a","b","c"])"), "system: has 3 texts");
  refused(with(R"(,"system":["a",1])"), "system[1]");
  refused(with(R"(,"system":["",""],"system_place":"middle")"), "system_place: \"middle\" is not known; one of turn");
  refused(with(R"(,"trim":["king"])"), "trim[0]: \"king\" is not a role");
  refused(with(R"(,"trim":"user")"), "trim");
  refused(with(R"(,"alternates":1)"), "alternates");
  refused(with(R"(,"stop":[""])"), "stop[0]: is empty");
  refused(with(R"(,"stop":"x")"), "stop");
  refused(with(R"(,"begin":7)"), "begin");
  for (const char* more : {R"(,"default_system":"")", R"(,"trim":["system"])", R"(,"system_place":"first_user")"}) refused(with(more), "says something of system messages");
  refused(with(R"(,"begin":")" + std::string(1 << 20, 'a') + "\""), "c.json");
}

}  // namespace
}  // namespace portfire
