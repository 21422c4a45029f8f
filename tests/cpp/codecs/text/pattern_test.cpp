#include "codecs/text/pattern.h"

#include "text.h"

namespace portfire::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> found(const std::string& expression, std::string_view text) {
  std::vector<std::string> parts;
  for (const Range& range : Pattern::regex(expression).find_all(text)) parts.emplace_back(text.substr(range.begin, range.end - range.begin));
  return parts;
}

std::string refused(const std::string& expression) {
  return refusal(ErrorCode::kUnsupported, [&] { Pattern::regex(expression); });
}

TEST(Pattern, ALiteralStandsForItself) {
  EXPECT_THAT(Pattern::literal("a.").find_all("a.aba.a."), ElementsAre(Range{0, 2}, Range{4, 6}, Range{6, 8}));
  EXPECT_THAT(Pattern::literal("aa").find_all("aaaaa"), ElementsAre(Range{0, 2}, Range{2, 4}));
  EXPECT_THAT(Pattern::literal("").find_all("aa"), IsEmpty());
}

// The expected parts of the following are those that the package tokenizers 0.23.3 (Oniguruma) finds.
TEST(Pattern, EmptyMatchesCountButNotWhereOneEnded) {
  EXPECT_THAT(Pattern::regex("a?").find_all("baab"), ElementsAre(Range{0, 0}, Range{1, 2}, Range{2, 3}, Range{4, 4}));
  EXPECT_THAT(Pattern::regex("^").find_all("a\n\xC3\xA9"), ElementsAre(Range{0, 0}, Range{2, 2}));
  EXPECT_THAT(Pattern::regex("(?=\\d{3}$)").find_all("12345"), ElementsAre(Range{2, 2}));
  EXPECT_THAT(Pattern::regex("a?").find_all(""), IsEmpty());
}

TEST(Pattern, WordsAndSpacesAreOnigurumas) {
  EXPECT_THAT(found(R"(\w+)", "e\u0301_\u0660 a\u200Db"), ElementsAre("e\u0301_\u0660", "a", "b"));
  EXPECT_THAT(found(R"(\W+)", "ab\u0901 \u180E"), ElementsAre(" \u180E"));
  EXPECT_THAT(found(R"([\w']+)", "it's e\u0301"), ElementsAre("it's", "e\u0301"));
  EXPECT_THAT(found(R"(\s+)", "a\u3000\u0085b\u180E\u200B"), ElementsAre("\u3000\u0085"));
  EXPECT_THAT(found(R"([^\s]+)", " ab\u00A0"), ElementsAre("ab"));
  EXPECT_THAT(found(R"(\be\u0301\b)", "e\u0301 e"), ElementsAre("e\u0301"));
  EXPECT_THAT(found(R"(a\Bb)", "ab"), ElementsAre("ab"));
}

TEST(Pattern, OnigurumasSpellingsAreTranslated) {
  EXPECT_THAT(found(R"(\h+)", "xyz12aF g"), ElementsAre("12aF"));
  EXPECT_THAT(found(R"([\h-]+)", "a-f g"), ElementsAre("a-f"));
  EXPECT_THAT(found(R"(\H)", "a g"), ElementsAre(" ", "g"));
  EXPECT_THAT(found(R"(\u00e9\x{301}\x41)", "\u00e9\u0301A"), ElementsAre("\u00e9\u0301A"));
  EXPECT_THAT(found(R"(\v)", "\x0b\n"), ElementsAre("\x0b"));
  EXPECT_THAT(found("(?m:a.b)", "a\nb"), ElementsAre("a\nb"));
  EXPECT_THAT(found("(?im)A.B", "a\nb"), ElementsAre("a\nb"));
  EXPECT_THAT(found("a.b", "a\nb"), IsEmpty());
  EXPECT_THAT(found("a{,2}b", "aaab"), ElementsAre("aab"));
  EXPECT_THAT(found("(?#no [ here)a", "a"), ElementsAre("a"));
  EXPECT_THAT(found("[[:alpha:]]+", "b\u0901\u0951"), ElementsAre("b\u0901"));
  EXPECT_THAT(found("[[:punct:]x]+", "a$.x\U0001F600b"), ElementsAre("$.x\U0001F600"));
  EXPECT_THAT(found("[]a]+", "b]a"), ElementsAre("]a"));
  EXPECT_THAT(found("[^]a]+", "b]a"), ElementsAre("b"));
}

TEST(Pattern, AScriptIsThePropertyScript) {
  EXPECT_THAT(found(R"(\p{Han}+)", "\u6F22\u3001\u5B57"), ElementsAre("\u6F22", "\u5B57"));
  EXPECT_THAT(found(R"([\p{Katakana}]+)", "\u30AB\u30FC"), ElementsAre("\u30AB"));
  EXPECT_THAT(found(R"(\p{^Han}+)", "\u6F22a\u3001"), ElementsAre("a\u3001"));
  EXPECT_THAT(found(R"([^\p{Latin}]+)", "a\u0951"), ElementsAre("\u0951"));
  EXPECT_THAT(found(R"(\p{Lu}\p{^L}\P{Alphabetic})", "A..a"), ElementsAre("A.."));
}

TEST(Pattern, APlusAfterAnIntervalRepeatsIt) {
  EXPECT_THAT(found(R"(\p{N}{1,3}+)", "12345 6"), ElementsAre("12345", "6"));
  EXPECT_THAT(found("(?:ab|c){2}+", "abcabcc"), ElementsAre("abcabc"));
  EXPECT_THAT(found("[ab]{2}+", "ababa"), ElementsAre("abab"));
  EXPECT_THAT(found("\u00e9{2}+", "\u00e9\u00e9\u00e9\u00e9"), ElementsAre("\u00e9\u00e9\u00e9\u00e9"));
  EXPECT_THAT(found("a++b|a?+c", "aab ac"), ElementsAre("aab", "ac"));
}

TEST(Pattern, WhatWouldMeanSomethingElseIsRefused) {
  EXPECT_EQ(refused("[a-z&&[^b]]+"), "the expression \"[a-z&&[^b]]+\": \"&&\" is not supported here");
  for (const std::string expression : {"[a[0-9]]", "[\\W]", "[^\\H]", "[[:graph:]]", "a(?i)b", "(*COMMIT)a", "(?R)", "(?~ab)", "(?P<n>a)", "(?(1)a|b)", "\\Qa\\E", "\\K", "\\O",
                                       "\\y", "\\C", "\\xC3\\xA9", "\\u12", "\\p{Punct}", "\\pL", "[a", "(?i", "(?#", "a\\", "(", ")", "a**b(", "\\p{L"}) {
    EXPECT_THAT(refused(expression), HasSubstr("the expression ")) << expression;
  }
}

TEST(Pattern, EndlessBacktrackingIsAnError) {
  const Pattern pattern = Pattern::regex("(?:a+)+b(?=c)");
  const std::string why = refusal(ErrorCode::kResourceExhausted, [&] { (void)pattern.find_all(std::string(40, 'a') + "b"); });
  EXPECT_THAT(why, HasSubstr("on a text of 41 B: match limit exceeded"));
}

TEST(Pattern, LongMatchesNeedNoStack) {
  const std::string text(3'000'000, 'a');
  EXPECT_THAT(Pattern::regex(R"(\p{L}+|\s+)").find_all(text), ElementsAre(Range{0, text.size()}));
}

}  // namespace
}  // namespace portfire::text
