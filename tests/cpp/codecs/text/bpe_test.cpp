#include "text.h"

namespace portfire::text {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Ids = std::vector<std::int64_t>;

const std::string kVocabulary = R"("vocab":{"a":0,"b":1,"c":2,"ab":3,"bc":4,"abc":5,"aa":6,"aaaa":7,"?":8},)"
                                R"("merges":[["b","c"],["a","b"],["a","bc"],["a","a"],["aa","aa"]])";

Tokenizer bpe(const std::string& rest = "") { return with_model("{\"type\":\"BPE\"," + kVocabulary + rest + "}"); }

// The expected ids are those of the package tokenizers 0.23.3.
TEST(Bpe, ThePairOfTheLowestRankIsJoinedFirst) {
  EXPECT_EQ(ids(bpe(), "abc"), (Ids{5}));
  EXPECT_EQ(ids(bpe(), "abab"), (Ids{3, 3}));
  EXPECT_EQ(ids(bpe(), "aaaaa"), (Ids{7, 0}));
  EXPECT_EQ(bpe().encode("abcab").offsets, (std::vector<TextRange>{{0, 3}, {3, 5}}));
}

TEST(Bpe, LongPiecesAreJoinedAsShortOnesAre) {
  for (const std::size_t size : {31, 32, 33, 34, 40, 1000}) {
    const std::string text(size, 'a');
    Ids expected(size / 4, 7);
    if (size % 4 >= 2) expected.push_back(6);
    if (size % 2 == 1) expected.push_back(0);
    EXPECT_EQ(ids(bpe(), text), expected) << size;
  }
  std::string text;
  for (int k = 0; k < 20; ++k) text += "abcaab";
  Ids expected;
  for (int k = 0; k < 20; ++k) expected.insert(expected.end(), {5, 0, 3});
  EXPECT_EQ(ids(bpe(), text), expected);
}

TEST(Bpe, WhatIsUnknownIsLeftOutOrOneTokenEachOrOneTokenForAll) {
  EXPECT_EQ(ids(bpe(), "axb"), (Ids{3}));
  EXPECT_EQ(ids(bpe(R"(,"unk_token":"?")"), "axyb"), (Ids{0, 8, 8, 1}));
  EXPECT_EQ(ids(bpe(R"(,"unk_token":"?")"), "\u00e9"), (Ids{8}));
  EXPECT_EQ(ids(bpe(R"(,"unk_token":"?","fuse_unk":true)"), "axyb"), (Ids{0, 8, 1}));
  EXPECT_EQ(bpe(R"(,"unk_token":"?","fuse_unk":true)").encode("axyb").offsets, (std::vector<TextRange>{{0, 1}, {1, 3}, {3, 4}}));
}

TEST(Bpe, BytesStandInWhereAllOfThemAreKnown) {
  const Tokenizer t = with_model(R"({"type":"BPE","unk_token":"?","byte_fallback":true,"vocab":{"?":0,"<0xC3>":1,"<0xA9>":2,"a":3},"merges":[]})");
  EXPECT_EQ(ids(t, "a\u00e9a"), (Ids{3, 1, 2, 3}));
  EXPECT_EQ(t.encode("a\u00e9a").offsets, (std::vector<TextRange>{{0, 1}, {1, 3}, {1, 3}, {3, 4}}));
  EXPECT_EQ(ids(t, "a\u00e8"), (Ids{3, 0}));
}

TEST(Bpe, AWholePieceThatIsATokenNeedsNoMerges) {
  const Tokenizer t = with_model(R"({"type":"BPE","ignore_merges":true,"vocab":{"a":0,"b":1,"ab":2,"abc":3,"c":4},"merges":[["a","b"]]})",
                                 R"(,"pre_tokenizer":{"type":"WhitespaceSplit"})");
  EXPECT_EQ(ids(t, "abc abcc ab"), (Ids{3, 2, 4, 4, 2}));
}

TEST(Bpe, PrefixesAndSuffixes) {
  const Tokenizer prefix = with_model(R"({"type":"BPE","continuing_subword_prefix":"##","vocab":{"a":0,"##b":1,"ab":2,"##c":3,"##bc":4,"abc":5},
                                         "merges":["a ##b","##b ##c","a ##bc"]})");
  EXPECT_EQ(ids(prefix, "abc"), (Ids{2, 3}));
  EXPECT_EQ(ids(prefix, "abcb"), (Ids{2, 3, 1}));
  const Tokenizer suffix = with_model(R"({"type":"BPE","end_of_word_suffix":"</w>","vocab":{"a":0,"b":1,"b</w>":2,"ab</w>":3,"a</w>":4},"merges":["a b</w>"]})",
                                      R"(,"pre_tokenizer":{"type":"WhitespaceSplit"})");
  EXPECT_EQ(ids(suffix, "ab a aab"), (Ids{3, 4, 0, 3}));
}

TEST(Bpe, BytesOfATextAreSymbolsAfterByteLevel) {
  const Tokenizer t = with_model(R"({"type":"BPE","vocab":{"Ġ":0,"a":1,"Ã":2,"©":3,"Ã©":4,"Ġa":5},"merges":["Ã ©","Ġ a"]})",
                                 R"(,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"})");
  EXPECT_EQ(ids(t, "\u00e9 a"), (Ids{4, 5}));
  EXPECT_EQ(t.encode("\u00e9 a\u00e8").offsets, (std::vector<TextRange>{{0, 2}, {2, 4}, {4, 6}}));
  EXPECT_EQ(decoded(t, {4, 5, 2, 3}), "\u00e9 a\u00e9");
  EXPECT_EQ(t.token(5), "Ġa");
  EXPECT_EQ(t.id("Ã"), 2);
  EXPECT_EQ(t.id("\u00e9"), std::nullopt);
}

TEST(Bpe, NothingIsNoTokens) {
  EXPECT_THAT(ids(bpe(), ""), IsEmpty());
  EXPECT_THAT(ids(bpe(), "xyz"), IsEmpty());
}

TEST(Bpe, DamageIsNamed) {
  const auto why = [](const std::string& fields) {
    return refusal(ErrorCode::kInvalidPackage, [&] { with_model("{\"type\":\"BPE\"," + fields + "}"); });
  };
  EXPECT_EQ(why(R"("merges":[])"), "t.json: model: the field \"vocab\" is missing");
  EXPECT_EQ(why(R"("vocab":{"a":0})"), "t.json: model: the field \"merges\" is missing");
  EXPECT_EQ(why(R"("vocab":["a"],"merges":[])"), "t.json: model.vocab: is not an object of tokens and their ids");
  EXPECT_EQ(why(R"("vocab":{"a":-1},"merges":[])"), "t.json: model.vocab: the id of \"a\" is \"-1\"; a whole number from 0 to 16777215");
  EXPECT_EQ(why(R"("vocab":{"a":16777216},"merges":[])"), "t.json: model.vocab: the id of \"a\" is \"16777216\"; a whole number from 0 to 16777215");
  EXPECT_EQ(why(R"("vocab":{"a":0},"merges":{})"), "t.json: model.merges: is not an array of pairs");
  EXPECT_EQ(why(R"("vocab":{"a":0},"merges":["a"])"), "t.json: model.merges: number 0 is \"\\x22a\\x22\"; two tokens are needed");
  EXPECT_EQ(why(R"("vocab":{"a":0},"merges":[["a","b"]])"), "t.json: model.merges: the token \"b\" is not in the vocabulary");
  EXPECT_EQ(why(R"("vocab":{"a":0,"b":1},"merges":["a b"])"), "t.json: model.merges: the token \"ab\" is not in the vocabulary");
  EXPECT_EQ(why(R"("vocab":{"a":0},"merges":[],"unk_token":"?")"), "t.json: model: the token \"?\" is not in the vocabulary");
  EXPECT_EQ(why(R"("vocab":{"a":0,"b":1},"merges":["a b"],"continuing_subword_prefix":"##")"), "t.json: model.merges: number 0: \"b\" does not begin with \"##\"");
}

}  // namespace
}  // namespace portfire::text
