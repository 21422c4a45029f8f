#include "text.h"

namespace portfire::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kWords = R"(,"pre_tokenizer":{"type":"WhitespaceSplit"})";

Tokenizer ngrams(const std::string& fields) { return with_model(R"({"type":"HashedNGrams",)" + fields + "}", kWords); }

// FNV-1a of 32 bits by hand: "a" 3826002220 (RFC 9923's own vector), "a b" 279181810, "\x01<a" 3307475939.
TEST(HashedNGrams, WordsThenPairsOfThem) {
  const Tokenizer t = ngrams(R"("buckets":1000,"words":[1,2])");
  EXPECT_THAT(ids(t, "a"), ElementsAre(220));
  EXPECT_THAT(ids(t, "a b")[2], 810);
  EXPECT_THAT(ids(t, "a  b"), ElementsAre(220, ids(t, "b")[0], 810));  // what lies between the words does not count
  EXPECT_EQ(t.encode("a  b").offsets, (std::vector<TextRange>{{0, 1}, {3, 4}, {0, 4}}));
  EXPECT_EQ(t.vocabulary_size(), 1000);
}

TEST(HashedNGrams, CharactersOfEachWordBetweenMarks) {
  const Tokenizer t = ngrams(R"("buckets":1000,"words":[1,2],"characters":[3,4])");
  EXPECT_THAT(ids(t, "a b\u00e9"), ElementsAre(220, 561, 358, 679, 538, 656, 748));  // <a> ; <bé bé> <bé>
  EXPECT_EQ(t.encode("a b\u00e9").offsets, (std::vector<TextRange>{{0, 1}, {2, 5}, {0, 5}, {0, 1}, {2, 5}, {2, 5}, {2, 5}}));
  EXPECT_THAT(ids(ngrams(R"("buckets":1000,"characters":[2,2])"), "a"), ElementsAre(939, 11));
}

TEST(HashedNGrams, TokensHaveNoSpelling) {
  const Tokenizer t = ngrams(R"("buckets":7,"words":[1,1])");
  EXPECT_THAT(ids(t, "x"), ElementsAre(4));
  EXPECT_EQ(t.token(4), "");
  EXPECT_EQ(decoded(t, {4}), "");
  EXPECT_EQ(t.id("x"), std::nullopt);
}

TEST(HashedNGrams, DamageIsNamed) {
  const auto why = [](const std::string& fields) { return refusal(ErrorCode::kInvalidPackage, [&] { ngrams(fields); }); };
  EXPECT_EQ(why(R"("words":[1,1])"), "t.json: model: the field \"buckets\" is missing");
  EXPECT_EQ(why(R"("buckets":8)"), "t.json: model: needs lengths of words or of characters");
  EXPECT_EQ(why(R"("buckets":0,"words":[1,1])"), "t.json: model.buckets: 0 is not a whole number of at least 1");
  EXPECT_EQ(why(R"("buckets":16777217,"words":[1,1])"), "t.json: model.buckets: 16777217 is too many; at most 16777216");
  EXPECT_EQ(why(R"("buckets":8,"words":[1])"), "t.json: model.words: two lengths are needed, the least and the most");
  EXPECT_EQ(why(R"("buckets":8,"words":[2,1])"), "t.json: model.words[1]: 1 is not a whole number of at least 2");
  EXPECT_THAT(why(R"("buckets":8,"characters":[1,17])"), HasSubstr("17 is too long; at most 16"));
}

}  // namespace
}  // namespace portfire::text
