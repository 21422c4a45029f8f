#include "codecs/text/decoders.h"

#include "text.h"

namespace portfire::text {
namespace {

using testing::HasSubstr;

using Tokens = std::vector<std::string>;

std::string decoded(const std::string& json, Tokens tokens) {
  return with_part(json, [&](const JsonNode& node) {
    make_decoder(node)(tokens);
    std::string text;
    for (const std::string& token : tokens) text += token;
    return text;
  });
}

// The expected texts are those of the package tokenizers 0.23.3, but for what is no UTF-8: it is left to the caller here.
TEST(Decoders, BytesAreSpelledInGpt2sAlphabet) {
  const std::string json = R"({"type":"ByteLevel"})";
  EXPECT_EQ(decoded(json, {"\u0120h", "\u00c3", "\u00a9w"}), " h\u00e9w");
  EXPECT_EQ(decoded(json, {"\u65e5", "\u00c3"}), "\u65e5\xC3");
}

TEST(Decoders, BytesByName) {
  EXPECT_EQ(decoded(R"({"type":"ByteFallback"})", {"<0x61>", "<0xE6>", "<0x97>", "<0xa5>", "b", "<0xFF>", "<0x6", "<0xGG>"}), "a\u65e5b\xFF<0x6<0xGG>");
}

TEST(Decoders, WordPieceJoinsWhatGoesOn) {
  EXPECT_EQ(decoded(R"({"type":"WordPiece","prefix":"##","cleanup":true})", {"a", "##b", "c", ",", "'", "s", "n't", "##"}), "ab c, ' sn't");
  EXPECT_EQ(decoded(R"({"type":"WordPiece","prefix":"@@","cleanup":false})", {"@@a", "@@b", ","}), "@@ab ,");
}

TEST(Decoders, MetaspaceTakesAllMarksOfTheFirstToken) {
  EXPECT_EQ(decoded(R"({"type":"Metaspace","replacement":"▁"})", {"▁a▁b", "▁c▁"}), "ab c ");
  EXPECT_EQ(decoded(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"never"})", {"▁a▁b", "▁c▁"}), " a b c ");
}

TEST(Decoders, Suffixes) { EXPECT_EQ(decoded(R"({"type":"BPEDecoder","suffix":"</w>"})", {"ab</w>", "c", "d</w>"}), "ab cd"); }

TEST(Decoders, StripAndReplaceAreForEachToken) {
  EXPECT_EQ(decoded(R"({"type":"Strip","content":"_","start":2,"stop":1})", {"__a_", "_b__", "x"}), "ab_x");
  EXPECT_EQ(decoded(R"({"type":"Replace","pattern":{"Regex":"a+"},"content":"x"})", {"aab", "a"}), "xbx");
  EXPECT_EQ(decoded(R"({"type":"Replace","pattern":{"String":"a"},"content":"bb"})", {"a\xC3", "\xA9\xE2\x82" "a"}), "bb\xC3\xA9\xE2\x82" "bb");
}

TEST(Decoders, ASequenceGoesFromTheFirst) {
  const std::string llama = R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},
                               {"type":"Strip","content":" ","start":1,"stop":0}]})";
  EXPECT_EQ(decoded(llama, {"▁a", "▁b", "<0xC3>", "<0xA9>"}), "a b\u00e9");
  EXPECT_EQ(decoded(llama, {"▁", "▁"}), " ");
}

TEST(Decoders, TheyDoNotGrowATextWithoutBound) {
  std::string steps;
  for (int k = 0; k < 40; ++k) steps += std::string(k > 0 ? "," : "") + R"({"type":"Replace","pattern":{"String":"a"},"content":"aa"})";
  const std::string why = refusal(ErrorCode::kResourceExhausted, [&] { decoded(R"({"type":"Sequence","decoders":[)" + steps + "]}", {"a"}); });
  EXPECT_THAT(why, HasSubstr("of tokens of 1 bytes"));
}

TEST(Decoders, OthersAreUnsupportedAndDamageIsNamed) {
  const auto why = [](ErrorCode code, const std::string& json) { return refusal(code, [&] { decoded(json, {}); }); };
  EXPECT_EQ(why(ErrorCode::kUnsupported, R"({"type":"CTC"})"), "t.json: the decoder \"CTC\" is not known here; docs/tokenizers.md lists what is");
  EXPECT_EQ(why(ErrorCode::kInvalidPackage, R"({"type":"Strip","content":"_","start":-1,"stop":0})"), "t.json: start: -1 is not a whole number of at least 0");
}

}  // namespace
}  // namespace portfire::text
