#include "text.h"

namespace portfire::text {
namespace {

using testing::HasSubstr;

using Ids = std::vector<std::int64_t>;

const std::string kSplit = R"(,"pre_tokenizer":{"type":"WhitespaceSplit"})";
const std::string kPieces = R"({"type":"WordPiece","unk_token":"[UNK]","max_input_chars_per_word":8,)"
                            R"("vocab":{"[UNK]":0,"un":1,"##aff":2,"##able":3,"##a":4,"a":5,"##é":6,"é":7}})";

// The expected ids are those of the package tokenizers 0.23.3.
TEST(WordPiece, TheLongestTokenThatGoesOnIsTaken) {
  const Tokenizer t = with_model(kPieces, kSplit);
  EXPECT_EQ(ids(t, "unaffable unaff unaffx una\u00e9"), (Ids{0, 1, 2, 0, 1, 4, 6}));
  EXPECT_EQ(ids(t, "\u00e9a"), (Ids{7, 4}));
  EXPECT_EQ(t.encode("\u00e9a").offsets, (std::vector<TextRange>{{0, 2}, {2, 3}}));
}

TEST(WordPiece, ALongWordIsUnknown) {
  const Tokenizer t = with_model(kPieces, kSplit);
  EXPECT_EQ(ids(t, "aaaaaaaa"), (Ids{5, 4, 4, 4, 4, 4, 4, 4}));
  EXPECT_EQ(ids(t, "aaaaaaaaa"), (Ids{0}));
  EXPECT_EQ(ids(t, "a\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9").size(), 8u);  // code points, not bytes
}

TEST(WordPiece, ATokenMayEndWithinALongWord) {
  const Tokenizer t = with_model(R"({"type":"WordPiece","max_input_chars_per_word":1000000,"vocab":{"[UNK]":0,"a":1,"##a":2,"##\u00e9":3}})");
  EXPECT_EQ(ids(t, std::string(100'000, 'a')).size(), 100'000u);
  EXPECT_EQ(ids(t, "aa\u00e9a"), (Ids{1, 2, 3, 2}));
}

TEST(WordLevel, APieceIsAToken) {
  const Tokenizer t = with_model(R"({"type":"WordLevel","vocab":{"a":0,"b":1,"?":2},"unk_token":"?"})", kSplit);
  EXPECT_EQ(ids(t, "a b c"), (Ids{0, 1, 2}));
  EXPECT_EQ(t.vocabulary_size(), 3);
  EXPECT_EQ(decoded(t, {0, 1, 2}), "a b ?");
}

TEST(WordLevel, WordsAreSpelledInTheAlphabetForBytesAfterByteLevel) {
  const Tokenizer t = with_model(R"({"type":"WordLevel","vocab":{"Ġa":0,"a":1," a":2,"?":3},"unk_token":"?"})",
                                 R"(,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false})");
  EXPECT_EQ(ids(t, "a a"), (Ids{1, 0}));
}

TEST(WordLevel, WithoutATokenForUnknownWordsTheyAreErrors) {
  const Tokenizer t = with_model(R"({"type":"WordLevel","vocab":{"a":0},"unk_token":"?"})", kSplit);
  EXPECT_EQ(refusal(ErrorCode::kInvalidInput, [&] { (void)t.encode("a b"); }),
            "the word \"b\" is not in the vocabulary, which has no token \"?\" for unknown ones");
}

TEST(WordModels, OthersAreUnsupportedAndDamageIsNamed) {
  EXPECT_EQ(refusal(ErrorCode::kUnsupported, [] { with_model(R"({"type":"Unigram","vocab":[["a",0]]})"); }),
            "t.json: model: the model \"Unigram\" is not known here; docs/tokenizers.md lists what is");
  EXPECT_THAT(refusal(ErrorCode::kInvalidPackage, [] { with_model(R"({"type":"WordLevel"})"); }), HasSubstr("\"vocab\" is missing"));
  EXPECT_EQ(refusal(ErrorCode::kInvalidPackage, [] { with_model("[]"); }), "t.json: model: an array is not an object");
}

TEST(WordModels, AFileOfBefore2021DoesNotNameItsModel) {
  EXPECT_EQ(ids(with_model(R"({"vocab":{"[UNK]":0,"a":1,"##b":2}})"), "ab"), (Ids{1, 2}));
  EXPECT_EQ(ids(with_model(R"({"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]})"), "ab"), (Ids{2}));
}

}  // namespace
}  // namespace portfire::text
