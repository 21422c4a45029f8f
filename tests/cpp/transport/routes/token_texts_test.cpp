#include "transport/routes/token_texts.h"

#include <gtest/gtest.h>

#include <string_view>

namespace portfire::routes {
namespace {

/// "a" 0, "é" 1, its bytes 2 and 3, "bc" 4, and the special "<end>" 5.
Tokenizer tokenizer() {
  constexpr std::string_view kJson = R"({"added_tokens":[{"id":5,"content":"<end>","special":true}],"decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"}]},)"
                                     R"("model":{"type":"BPE","byte_fallback":true,"vocab":{"a":0,"é":1,"<0xC3>":2,"<0xA9>":3,"bc":4},"merges":[]}})";
  return Tokenizer::from_bytes({reinterpret_cast<const std::byte*>(kJson.data()), kJson.size()});
}

std::string joined(const std::vector<TokenText>& tokens) {
  std::string all;
  for (const TokenText& token : tokens) all += token.text + "@" + std::to_string(token.offset) + " ";
  return all;
}

TEST(TokenTexts, SayWhatEachAddsAndWhere) {
  TokenTexts texts(tokenizer(), {});
  for (const std::int64_t id : {0, 2, 3, 4, 5}) texts.add({.id = id, .log_probability = -0.5F});
  const std::vector<TokenText> tokens = texts.take(std::string_view("aébc").size());
  EXPECT_EQ(joined(tokens), "a@0 @1 é@1 bc@2 ") << "offsets in code points; what ended the text is not told";
  EXPECT_EQ(tokens[3].log_probability, -0.5F);
}

TEST(TokenTexts, ComeWithTheTextThatTheyBegin) {
  TokenTexts texts(tokenizer(), {});
  texts.add({.id = 0});
  texts.add({.id = 4});
  EXPECT_EQ(joined(texts.take(0)), "") << "held back, as what may begin a stop string is";
  EXPECT_EQ(joined(texts.take(1)), "a@0 ");
  EXPECT_EQ(joined(texts.take(1)), "bc@1 ") << "cut by a stop string";
  texts.add({.id = 0});
  EXPECT_EQ(joined(texts.take(0)), "");
}

TEST(TokenTexts, SpellOthersThatHaveNoText) {
  TokenTexts texts(tokenizer(), std::vector<std::int64_t>{0});
  texts.add({.id = 0, .likeliest = {{.id = 5, .log_probability = -1}, {.id = 2, .log_probability = -2}, {.id = 1, .log_probability = -3}}});
  const std::vector<TokenText> tokens = texts.take(1);
  ASSERT_EQ(tokens.size(), 1U);
  ASSERT_EQ(tokens[0].likeliest.size(), 3U);
  EXPECT_EQ(tokens[0].likeliest[0].text, "<end>");
  EXPECT_EQ(tokens[0].likeliest[1].text, "<0xC3>");
  EXPECT_TRUE(tokens[0].likeliest[0].is_spelled && tokens[0].likeliest[1].is_spelled);
  EXPECT_EQ(tokens[0].likeliest[2].text, "é");
  EXPECT_FALSE(tokens[0].likeliest[2].is_spelled);
  EXPECT_EQ(tokens[0].likeliest[2].log_probability, -3);
}

}  // namespace
}  // namespace portfire::routes
