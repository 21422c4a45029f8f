#include "codecs/text/pre_tokenizers.h"

#include "text.h"

namespace portfire::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Each piece and where it came from: "it 0-2".
std::vector<std::string> pieces(const std::string& json, const std::string& text, bool spells_bytes = true) {
  return with_part(json, [&](const JsonNode& node) {
    Pieces made{AlignedText(text, 0), {{0, text.size()}}};
    make_pre_tokenizer(node, spells_bytes)(made);
    std::vector<std::string> told;
    for (const Range& range : made.ranges) {
      const Range source = made.text.source(range);
      told.push_back(made.text.bytes().substr(range.begin, range.end - range.begin) + " " + std::to_string(source.begin) + "-" + std::to_string(source.end));
    }
    return told;
  });
}

std::vector<std::string> split(const std::string& pattern, const std::string& behaviour, const std::string& text, bool invert = false) {
  return pieces(R"({"type":"Split","pattern":)" + pattern + R"(,"behavior":")" + behaviour + R"(","invert":)" + (invert ? "true" : "false") + "}", text);
}

// The expected pieces are those of the package tokenizers 0.23.3, its offsets in bytes.
TEST(PreTokenizers, ASplitDoesWithMatchesWhatItsBehaviourSays) {
  const std::string dash = R"({"String":"-"})";
  EXPECT_THAT(split(dash, "Removed", "a--b-c-"), ElementsAre("a 0-1", "b 3-4", "c 5-6"));
  EXPECT_THAT(split(dash, "Isolated", "a--b-c-"), ElementsAre("a 0-1", "- 1-2", "- 2-3", "b 3-4", "- 4-5", "c 5-6", "- 6-7"));
  EXPECT_THAT(split(dash, "MergedWithPrevious", "a--b-c-"), ElementsAre("a- 0-2", "- 2-3", "b- 3-5", "c- 5-7"));
  EXPECT_THAT(split(dash, "MergedWithNext", "a--b-c-"), ElementsAre("a 0-1", "- 1-2", "-b 2-4", "-c 4-6", "- 6-7"));
  EXPECT_THAT(split(dash, "Contiguous", "a--b-c-"), ElementsAre("a 0-1", "-- 1-3", "b 3-4", "- 4-5", "c 5-6", "- 6-7"));
}

TEST(PreTokenizers, AnInvertedSplitTakesWhatDoesNotMatch) {
  const std::string dash = R"({"String":"-"})";
  EXPECT_THAT(split(dash, "Removed", "a--b-c-", true), ElementsAre("- 1-2", "- 2-3", "- 4-5", "- 6-7"));
  EXPECT_THAT(split(dash, "MergedWithPrevious", "a--b-c-", true), ElementsAre("a 0-1", "- 1-2", "-b 2-4", "-c 4-6", "- 6-7"));
  EXPECT_THAT(split(dash, "MergedWithNext", "a--b-c-", true), ElementsAre("a- 0-2", "- 2-3", "b- 3-5", "c- 5-7"));
}

TEST(PreTokenizers, AnEmptyMatchSplitsToo) {
  const std::string before_b = R"({"Regex":"(?=b)|-"})";
  EXPECT_THAT(split(before_b, "Removed", "ab--bb-"), ElementsAre("a 0-1", "b 1-2", "b 4-5", "b 5-6"));
  EXPECT_THAT(split(before_b, "Isolated", "ab--bb-"), ElementsAre("a 0-1", "b 1-2", "- 2-3", "- 3-4", "b 4-5", "b 5-6", "- 6-7"));
  EXPECT_THAT(split(before_b, "MergedWithPrevious", "ab--bb-"), ElementsAre("a 0-1", "b- 1-3", "- 3-4", "b 4-5", "b- 5-7"));
  EXPECT_THAT(split(before_b, "MergedWithNext", "ab--bb-"), ElementsAre("a 0-1", "b 1-2", "- 2-3", "-b 3-5", "b 5-6", "- 6-7"));
  EXPECT_THAT(split(before_b, "Contiguous", "ab--bb-"), ElementsAre("a 0-1", "b 1-2", "-- 2-4", "b 4-5", "b 5-6", "- 6-7"));
}

TEST(PreTokenizers, ByteLevelSpellsBytesWhereSomethingReadsTheirSpelling) {
  EXPECT_THAT(pieces(R"({"type":"ByteLevel"})", "It's 12 \u00e9  x\n"),
              ElementsAre("\u0120It 0-2", "'s 2-4", "\u012012 4-7", "\u0120\u00c3\u00a9 7-10", "\u0120 10-11", "\u0120x 11-13", "\u010a 13-14"));
  EXPECT_THAT(pieces(R"({"type":"ByteLevel"})", "It's 12 \u00e9", false), ElementsAre(" It 0-2", "'s 2-4", " 12 4-7", " \u00e9 7-10"));
  EXPECT_THAT(pieces(R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false})", "a \u00e9"), ElementsAre("a\u0120\u00c3\u00a9 0-4"));
  EXPECT_THAT(pieces(R"({"type":"Sequence","pretokenizers":[{"type":"Whitespace"},{"type":"ByteLevel"}]})", "a b"), ElementsAre("\u0120a 0-1", "\u0120b 2-3"));
}

TEST(PreTokenizers, WhatFollowsByteLevelSeesTheSpelling) {  // tiiuae/falcon-7b has it so: U+00B2, a byte's letter, is a number
  const std::string steps = R"([{"type":"Punctuation","behavior":"Contiguous"},{"type":"ByteLevel","add_prefix_space":false},{"type":"Digits","individual_digits":false}])";
  EXPECT_THAT(pieces(R"({"type":"Sequence","pretokenizers":)" + steps + "}", "a \u00f212 b"),
              ElementsAre("a 0-1", "\u0120\u00c3 1-4", "\u00b2 2-4", "12 4-6", "\u0120b 6-8"));
}

TEST(PreTokenizers, OnlyALastByteLevelLeavesBytesToTheModel) {
  const auto ends = [](const std::string& json) { return with_part(json, [](const JsonNode& node) { return ends_in_bytes(node); }); };
  EXPECT_TRUE(ends(R"({"type":"ByteLevel"})"));
  EXPECT_TRUE(ends(R"({"type":"Sequence","pretokenizers":[{"type":"Digits"},{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"}]}]})"));
  EXPECT_FALSE(ends(R"({"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]})"));
  EXPECT_FALSE(ends(R"({"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"ByteLevel"}]})"));
  EXPECT_FALSE(ends(R"({"type":"Sequence","pretokenizers":[]})"));
  EXPECT_FALSE(ends(R"({"type":"Whitespace"})"));
}

TEST(PreTokenizers, Words) {
  EXPECT_THAT(pieces(R"({"type":"BertPreTokenizer"})", "it's \u4e2d, a\u00a0b\u00bf"),
              ElementsAre("it 0-2", "' 2-3", "s 3-4", "\u4e2d 5-8", ", 8-9", "a 10-11", "b 13-14", "\u00bf 14-16"));
  EXPECT_THAT(pieces(R"({"type":"Whitespace"})", "it's a_b\u200d \u00e9!? x"),
              ElementsAre("it 0-2", "' 2-3", "s 3-4", "a_b\u200d 5-11", "\u00e9 12-14", "!? 14-16", "x 17-18"));
  EXPECT_THAT(pieces(R"({"type":"WhitespaceSplit"})", " a  b\u3000c "), ElementsAre("a 1-2", "b 4-5", "c 8-9"));
  EXPECT_THAT(pieces(R"({"type":"CharDelimiterSplit","delimiter":"-"})", "a--b"), ElementsAre("a 0-1", "b 3-4"));
}

TEST(PreTokenizers, DigitsAndPunctuation) {
  EXPECT_THAT(pieces(R"({"type":"Digits"})", "a123b\u0663"), ElementsAre("a 0-1", "123 1-4", "b 4-5", "\u0663 5-7"));
  EXPECT_THAT(pieces(R"({"type":"Digits","individual_digits":true})", "a12\u00b2"), ElementsAre("a 0-1", "1 1-2", "2 2-3", "\u00b2 3-5"));
  EXPECT_THAT(pieces(R"({"type":"Punctuation"})", "a,b..c"), ElementsAre("a 0-1", ", 1-2", "b 2-3", ". 3-4", ". 4-5", "c 5-6"));
  EXPECT_THAT(pieces(R"({"type":"Punctuation","behavior":"Contiguous"})", "a,b..c"), ElementsAre("a 0-1", ", 1-2", "b 2-3", ".. 3-5", "c 5-6"));
}

TEST(PreTokenizers, MetaspacePutsAMarkBeforeTheFirstWordOrNot) {
  const auto of = [](const std::string& scheme, const std::string& text, const std::string& rest = "") {
    return pieces(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":")" + scheme + "\"" + rest + "}", text);
  };
  EXPECT_THAT(of("always", "a b  c"), ElementsAre("▁a 0-1", "▁b 1-3", "▁ 3-4", "▁c 4-6"));
  EXPECT_THAT(of("never", "a b"), ElementsAre("a 0-1", "▁b 1-3"));
  EXPECT_THAT(of("always", "▁a"), ElementsAre("▁a 0-4"));
  EXPECT_THAT(of("first", " a b", R"(,"split":false)"), ElementsAre("▁a▁b 0-4"));
  EXPECT_THAT(pieces(R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"}]})", "1a b"),
              ElementsAre("▁1 0-1", "a 1-2", "▁b 2-4"));
  EXPECT_THAT(pieces(R"({"type":"Metaspace","replacement":"▁","add_prefix_space":false})", "a"), ElementsAre("a 0-1"));
}

TEST(PreTokenizers, OthersAreUnsupportedAndDamageIsNamed) {
  const auto why = [](ErrorCode code, const std::string& json) { return refusal(code, [&] { pieces(json, "a"); }); };
  EXPECT_THAT(why(ErrorCode::kUnsupported, R"({"type":"UnicodeScripts"})"), HasSubstr("the pre-tokenizer \"UnicodeScripts\" is not known here"));
  EXPECT_THAT(why(ErrorCode::kUnsupported, R"({"type":"Split","pattern":{"Regex":"[a&&b]"},"behavior":"Removed"})"), HasSubstr("\"&&\" is not supported here"));
  EXPECT_EQ(why(ErrorCode::kInvalidPackage, R"({"type":"Split","pattern":{"String":"a"},"behavior":"Kept"})"),
            "t.json: behavior: \"Kept\" is not known; one of Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
  EXPECT_EQ(why(ErrorCode::kInvalidPackage, R"({"type":"Metaspace","replacement":"_","prepend_scheme":"last"})"),
            "t.json: prepend_scheme: \"last\" is not known; one of always, first, never");
  EXPECT_EQ(why(ErrorCode::kInvalidPackage, R"({"type":"Sequence","pretokenizers":{}})"), "t.json: pretokenizers: an object is not an array");
  EXPECT_EQ(why(ErrorCode::kInvalidPackage, R"({"type":"ByteLevel","use_regex":1})"), "t.json: use_regex: 1 is neither true nor false");
}

}  // namespace
}  // namespace portfire::text
