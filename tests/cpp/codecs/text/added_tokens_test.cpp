#include "text.h"

namespace portfire::text {
namespace {

using testing::HasSubstr;

using Ids = std::vector<std::int64_t>;

std::string row(int id, const std::string& content, const std::string& flags) {
  return R"({"id":)" + std::to_string(id) + R"(,"content":")" + content + "\"," + flags + "}";
}

Tokenizer with_tokens() {
  return with_model(R"({"type":"WordLevel","vocab":{"?":0,"a":1,"b":2},"unk_token":"?"})",
                    R"(,"normalizer":{"type":"Lowercase"},"pre_tokenizer":{"type":"WhitespaceSplit"},"added_tokens":[)" + row(3, "<s>", R"("special":true)") + "," +
                        row(4, "<s>x", R"("special":true)") + "," + row(5, "<l>", R"("special":true,"lstrip":true)") + "," +
                        row(6, "<r>", R"("special":true,"rstrip":true)") + "," + row(7, "<w>", R"("special":true,"single_word":true)") + "," +
                        row(8, "NEW", R"("normalized":true)") + "," + row(9, "Raw", R"("normalized":false)") + "]");
}

// The expected ids and offsets are those of the package tokenizers 0.23.3.
TEST(AddedTokens, TheLongestIsTakenFromTheLeft) {
  const Tokenizer t = with_tokens();
  EXPECT_EQ(ids(t, "a<s>b"), (Ids{1, 3, 2}));
  EXPECT_EQ(ids(t, "<s>x<s>"), (Ids{4, 3}));
  EXPECT_EQ(ids(t, "<S>"), (Ids{0}));
  EXPECT_EQ(t.encode("a<s>b").offsets, (std::vector<TextRange>{{0, 1}, {1, 4}, {4, 5}}));
}

TEST(AddedTokens, SomeTakeTheSpacesAroundThem) {
  const Tokenizer t = with_tokens();
  EXPECT_EQ(t.encode("a  <l>  b").offsets, (std::vector<TextRange>{{0, 1}, {1, 6}, {8, 9}}));
  EXPECT_EQ(t.encode("a  <r>  b").offsets, (std::vector<TextRange>{{0, 1}, {3, 8}, {8, 9}}));
  EXPECT_EQ(t.encode("<r>  <l>"), (Encoding{{6, 5}, {{0, 5}, {5, 8}}}));
}

TEST(AddedTokens, SomeAreWordsOfTheirOwn) { EXPECT_EQ(ids(with_tokens(), "a<w>b <w> <w>,<w>"), (Ids{0, 7, 7, 0, 7})); }

TEST(AddedTokens, SomeAreLookedForInTheNormalizedText) {
  EXPECT_EQ(ids(with_tokens(), "a new NEW b"), (Ids{1, 8, 8, 2}));
  EXPECT_EQ(ids(with_tokens(), "raw Raw rawNEW"), (Ids{0, 9, 0, 8}));
}

TEST(AddedTokens, SpecialOnesAreTextWherePlainTextIsSaid) {
  const Tokenizer t = with_tokens();
  const auto plain = [&](const std::string& text, std::vector<TextRange> ranges) { return ids(t, text, {.plain = std::move(ranges)}); };
  EXPECT_EQ(plain("<s>a<s>b", {{3, 8}}), (Ids{3, 0})) << "a<s>b is one unknown word";
  EXPECT_EQ(plain("<s>a<s>b", {{0, 3}}), (Ids{0, 3, 2}));
  EXPECT_EQ(plain("<s>", {{1, 2}}), (Ids{0})) << "a part of it is enough";
  EXPECT_EQ(plain("<s>", {{2, 3}}), (Ids{0})) << "it cannot be put together from both";
  EXPECT_EQ(plain("<s>", {{0, 0}, {3, 3}}), (Ids{3}));
  EXPECT_EQ(plain("<<s>", {{0, 1}}), (Ids{0, 3}));
  EXPECT_EQ(plain("a NEW <s>", {{0, 9}}), (Ids{1, 8, 0})) << "what is not special controls nothing";
  const Tokenizer normalized = with_model(R"({"type":"WordLevel","vocab":{"?":0,"a":1},"unk_token":"?"})",
                                          R"(,"normalizer":{"type":"Lowercase"},"pre_tokenizer":{"type":"WhitespaceSplit"},"added_tokens":[)" +
                                              row(2, "<S>", R"("special":true,"normalized":true)") + "]");
  EXPECT_EQ(ids(normalized, "a <s> <S>", {.plain = {{2, 5}}}), (Ids{1, 0, 2}));
}

TEST(AddedTokens, ASpecialTokenThatIsAPieceOfTheModelTooIsRefusedInPlainText) {
  const Tokenizer t = with_model(R"({"type":"WordLevel","vocab":{"?":0,"a":1,"<s>":2},"unk_token":"?"})",
                                 R"(,"pre_tokenizer":{"type":"WhitespaceSplit"},"added_tokens":[)" + row(0, "?", R"("special":true)") + "," + row(2, "<s>", R"("special":true)") + "]");
  EXPECT_EQ(ids(t, "<s> a", {.plain = {{3, 5}}}), (Ids{2, 1}));
  EXPECT_EQ(ids(t, "<s> x", {.plain = {{3, 5}}}), (Ids{2, 0})) << "an unknown word is no spelling of it";
  EXPECT_THAT(refusal(ErrorCode::kInvalidInput, [&] { (void)ids(t, "a <s>", {.plain = {{0, 5}}}); }), HasSubstr("the text holds \"<s>\""));
}

TEST(AddedTokens, ThereMayBeThousands) {  // google/gemma-3 has 6,242
  std::string rows;
  for (int k = 0; k < 7000; ++k) rows += (k > 0 ? "," : "") + row(k + 1, "<unused" + std::to_string(k) + ">", R"("special":true)");
  const Tokenizer t = with_model(R"({"type":"WordLevel","vocab":{"?":0},"unk_token":"?"})", ",\"added_tokens\":[" + rows + "]");
  EXPECT_EQ(ids(t, "<unused12><unused6999>x<unused>"), (Ids{13, 7000, 0}));
  EXPECT_EQ(t.vocabulary_size(), 7001);
}

TEST(AddedTokens, SpecialOnesAreLeftOutOfATextUnlessAskedFor) {
  const Tokenizer t = with_tokens();
  EXPECT_EQ(decoded(t, {1, 3, 8}), "a NEW");
  EXPECT_EQ(decoded(t, {1, 3, 8}, false), "a <s> NEW");
}

TEST(AddedTokens, DamageIsNamed) {
  const auto why = [](const std::string& rows) {
    return refusal(ErrorCode::kInvalidPackage, [&] { with_model(R"({"type":"WordLevel","vocab":{"?":0}})", ",\"added_tokens\":" + rows); });
  };
  EXPECT_EQ(why("{}"), "t.json: added_tokens: an object is not an array");
  EXPECT_EQ(why(R"([{"id":1}])"), "t.json: added_tokens[0]: the field \"content\" is missing");
  EXPECT_EQ(why(R"([{"id":-1,"content":"a"}])"), "t.json: added_tokens[0].id: -1 is not a whole number of at least 0");
  EXPECT_EQ(why(R"([{"id":9223372036854775807,"content":"a"}])"), "t.json: added_tokens[0].id: 9223372036854775807 is too great; at most 16777215");
  EXPECT_THAT(why(R"([{"id":1,"content":"a","special":1}])"), HasSubstr("added_tokens[0].special: 1 is neither true nor false"));
}

}  // namespace
}  // namespace portfire::text
