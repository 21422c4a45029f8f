#include "codecs/text/normalizers.h"

#include "text.h"

namespace portfire::text {
namespace {

using testing::HasSubstr;

std::string normalized(const std::string& json, const std::string& text) {
  return with_part(json, [&](const JsonNode& node) {
    AlignedText aligned(text, 0);
    make_normalizer(node)(aligned);
    return aligned.bytes();
  });
}

std::string of_type(const std::string& type, const std::string& text) { return normalized("{\"type\":\"" + type + "\"}", text); }

Range source(const std::string& json, const std::string& text, Range range) {
  return with_part(json, [&](const JsonNode& node) {
    AlignedText aligned(text, 0);
    make_normalizer(node)(aligned);
    return aligned.source(range);
  });
}

const std::string kText = std::string("\u00c7a va? \u00c9T\u00c9 \ufb01n \u00bd \u4e2d\u6587a\t") + '\0' + "\u200d\u0130";

// The expected texts are those of the package tokenizers 0.23.3.
TEST(Normalizers, NormalForms) {
  const std::string zero("\t\0", 2);
  EXPECT_EQ(of_type("NFC", kText), kText);
  EXPECT_EQ(of_type("NFD", kText), "C\u0327a va? E\u0301TE\u0301 \ufb01n \u00bd \u4e2d\u6587a" + zero + "\u200dI\u0307");
  EXPECT_EQ(of_type("NFKC", kText), "\u00c7a va? \u00c9T\u00c9 fin 1\u20442 \u4e2d\u6587a" + zero + "\u200d\u0130");
  EXPECT_EQ(of_type("NFKD", kText), "C\u0327a va? E\u0301TE\u0301 fin 1\u20442 \u4e2d\u6587a" + zero + "\u200dI\u0307");
  EXPECT_EQ(of_type("NFC", "e\u0301\u0323 \u1100\u1161\u11a8"), "\u1eb9\u0301 \uac01");
}

TEST(Normalizers, HangulOfOtherEncodingsComposes) {
  EXPECT_EQ(of_type("NFKC", "\u1100\u1161\uffa5"), "\uac05");
  EXPECT_EQ(of_type("NFKC", "\u1100\u314f\u3133"), "\uac03");
  EXPECT_EQ(of_type("NFC", "\u1100\u314f"), "\u1100\u314f");
}

TEST(Normalizers, ANormalFormCoversTheWholeCharacter) {
  EXPECT_EQ(source(R"({"type":"NFC"})", "ae\u0301b", {1, 3}), (Range{1, 4}));
  EXPECT_EQ(source(R"({"type":"NFD"})", "a\u00e9b", {1, 2}), (Range{1, 3}));
  EXPECT_EQ(source(R"({"type":"NFD"})", "a\u00e9b", {4, 5}), (Range{3, 4}));
}

TEST(Normalizers, ButWhereEachCodePointCouldBeByItselfItIs) {
  EXPECT_EQ(source(R"({"type":"NFD"})", "\uac00\ufe0f", {0, 6}), (Range{0, 3}));
  EXPECT_EQ(source(R"({"type":"NFD"})", "\uac00\ufe0f", {6, 9}), (Range{3, 6}));
  EXPECT_EQ(source(R"({"type":"NFD"})", "\u00e9\u0323", {0, 3}), (Range{0, 4}));  // the dot goes before the acute
  EXPECT_EQ(source(R"({"type":"NFKC"})", "\ufb01\ufe0f", {0, 2}), (Range{0, 3}));
}

TEST(Normalizers, MoreMarksThanACharacterHasAreRefused) {
  std::string marks = "a";
  for (int k = 0; k < 10'000; ++k) marks += "\u0301";
  const std::string why = refusal(ErrorCode::kInvalidInput, [&] { of_type("NFC", marks); });
  EXPECT_EQ(why, "the text has a character of 10001 code points; at most 10000 can be normalized");
}

TEST(Normalizers, LettersAreMadeLowerOneByOne) {
  EXPECT_EQ(of_type("Lowercase", kText), "\u00e7a va? \u00e9t\u00e9 \ufb01n \u00bd \u4e2d\u6587a" + std::string("\t\0", 2) + "\u200di\u0307");
  EXPECT_EQ(of_type("Lowercase", "\u03a3\u0391\u03a3"), "\u03c3\u03b1\u03c3");  // no final sigma
}

TEST(Normalizers, Bert) {
  EXPECT_EQ(of_type("BertNormalizer", kText), "ca va? ete \ufb01n \u00bd  \u4e2d  \u6587 a i");
  EXPECT_EQ(normalized(R"({"type":"BertNormalizer","lowercase":false,"strip_accents":null})", kText), "\u00c7a va? \u00c9T\u00c9 \ufb01n \u00bd  \u4e2d  \u6587 a \u0130");
  EXPECT_EQ(normalized(R"({"type":"BertNormalizer","lowercase":false,"strip_accents":true,"handle_chinese_chars":false,"clean_text":false})", kText),
            "Ca va? ETE \ufb01n \u00bd \u4e2d\u6587a" + std::string("\t\0", 2) + "\u200dI");
}

TEST(Normalizers, StripTakesSpacesAway) {
  EXPECT_EQ(normalized(R"({"type":"Strip","strip_left":true,"strip_right":true})", "  a b \u3000"), "a b");
  EXPECT_EQ(normalized(R"({"type":"Strip","strip_left":true,"strip_right":false})", "  a b "), "a b ");
  EXPECT_EQ(normalized(R"({"type":"Strip","strip_left":false,"strip_right":true})", "  a b "), "  a b");
  EXPECT_EQ(normalized(R"({"type":"Strip","strip_left":true,"strip_right":true})", " \t "), "");
  EXPECT_EQ(source(R"({"type":"Strip","strip_left":true})", "  a", {0, 1}), (Range{2, 3}));
}

TEST(Normalizers, ReplaceAndPrepend) {
  EXPECT_EQ(normalized(R"({"type":"Replace","pattern":{"String":" "},"content":"▁"})", "a b  c"), "a▁b▁▁c");
  EXPECT_EQ(normalized(R"({"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "})", "a \t b\n"), "a b ");
  EXPECT_EQ(normalized(R"({"type":"Replace","pattern":{"Regex":"^"},"content":"▁"})", "a\nb"), "▁a\n▁b");
  EXPECT_EQ(normalized(R"({"type":"Prepend","prepend":"▁"})", "ab"), "▁ab");
  EXPECT_EQ(normalized(R"({"type":"Prepend","prepend":"▁"})", ""), "");
  EXPECT_EQ(source(R"({"type":"Prepend","prepend":"▁"})", "\u00e9b", {0, 3}), (Range{0, 2}));
}

TEST(Normalizers, ASequenceGoesFromTheFirst) {
  const std::string steps = R"({"type":"Sequence","normalizers":[{"type":"NFD"},{"type":"StripAccents"},{"type":"Lowercase"}]})";
  EXPECT_EQ(normalized(steps, "\u00c7A \u00c9"), "ca e");
  EXPECT_EQ(normalized(R"({"type":"Sequence","normalizers":[]})", "A"), "A");
}

TEST(Normalizers, OthersAreUnsupportedAndDamageIsNamed) {
  const auto why = [](ErrorCode code, const std::string& json) { return refusal(code, [&] { normalized(json, "a"); }); };
  EXPECT_EQ(why(ErrorCode::kUnsupported, R"({"type":"Precompiled","precompiled_charsmap":""})"),
            "t.json: the normalizer \"Precompiled\" is not known here; docs/tokenizers.md lists what is");
  EXPECT_THAT(why(ErrorCode::kUnsupported, R"({"type":"Sequence","normalizers":[{"type":"Nmt"}]})"), HasSubstr("t.json: normalizers[0]: the normalizer \"Nmt\""));
  EXPECT_EQ(why(ErrorCode::kInvalidPackage, "{}"), "t.json: the field \"type\" is missing");
  EXPECT_EQ(why(ErrorCode::kInvalidPackage, R"({"type":"Replace","content":""})"), "t.json: the field \"pattern\" is missing");
  EXPECT_EQ(why(ErrorCode::kInvalidPackage, R"({"type":"Replace","content":"","pattern":{"Glob":""}})"),
            "t.json: pattern: the key \"Glob\" is no pattern; one of String, Regex");
  EXPECT_EQ(why(ErrorCode::kInvalidPackage, R"({"type":"Prepend","prepend":1})"), "t.json: prepend: 1 is not a string");
}

}  // namespace
}  // namespace portfire::text
