#include "text.h"

namespace portfire::text {
namespace {

using testing::HasSubstr;

using Ids = std::vector<std::int64_t>;

Tokenizer model(const std::string& name) { return Tokenizer::from_bytes(test_data("tokenizers/" + name + ".model"), name); }

// The expected ids, offsets and texts are those of the package sentencepiece 0.2.3.
TEST(SentencePiece, Unigram) {
  const Tokenizer t = model("unigram");
  EXPECT_EQ(t.vocabulary_size(), 70);
  EXPECT_EQ(ids(t, "Once upon a time"), (Ids{4, 30, 55, 4, 25, 56, 30, 5, 44, 23, 18, 12}));
  EXPECT_EQ(t.encode("The \ufb01rst caf\u00e9\u3000\u00bd").ids, (Ids{11, 38, 24, 64, 37, 10, 58, 4, 51, 0, 52}));
  EXPECT_EQ(t.encode("na\u00efve").offsets, (std::vector<TextRange>{{0, 1}, {1, 2}, {2, 4}, {4, 6}}));
  EXPECT_EQ(t.encode("  two  spaces ").offsets,
            (std::vector<TextRange>{{2, 3}, {3, 4}, {4, 5}, {5, 7}, {7, 8}, {8, 9}, {9, 10}, {10, 12}, {12, 13}}));
  EXPECT_EQ(decoded(t, {11, 38, 24, 64, 37, 10, 58, 4, 51, 0, 52}), "the first caf\u00e9 1 \u2047 2");
  EXPECT_EQ(ids(t, ""), (Ids{}));
}

TEST(SentencePiece, BytePairsWithBytesForWhatIsUnknown) {
  const Tokenizer t = model("bpe");
  EXPECT_EQ(ids(t, "\u65e5\u672c reads<sep>x"), (Ids{351, 234, 155, 169, 234, 160, 176, 314, 3, 124}));
  EXPECT_EQ(decoded(t, ids(t, "\u65e5\u672c reads<sep>x")), "\u65e5\u672c reads<sep>x");
  EXPECT_EQ(t.encode("na\u00efve").offsets, (std::vector<TextRange>{{0, 2}, {2, 2}, {2, 4}, {4, 6}}));
  EXPECT_EQ(t.token(234), "<0xE6>");
  EXPECT_EQ(t.id("<sep>"), 3);
  EXPECT_EQ(t.id("<unk>"), 0);
  EXPECT_EQ(t.id("no such"), std::nullopt);
}

TEST(SentencePiece, CharactersAndWords) {
  EXPECT_EQ(ids(model("char"), "na\u00efve"), (Ids{4, 12, 7, 38, 20, 5}));
  EXPECT_EQ(ids(model("word"), "The caf\u00e9\u3000\u00bd"), (Ids{7, 22, 0}));
  EXPECT_EQ(decoded(model("word"), {7, 22, 0}), "the caf\u00e9 \u2047 ");
}

TEST(SentencePiece, TheFirstTokensAreKept) { EXPECT_EQ(ids(model("char"), "na\u00efve", {.max_tokens = 3}), (Ids{4, 12, 7})); }

TEST(SentencePiece, BytesThatAreNoTextAreReplaced) {
  const Tokenizer t = model("bpe");
  EXPECT_EQ(decoded(t, {234, 155}), "\ufffd");
  EXPECT_EQ(decoded(t, {259, 340, 234}), "\ufffdnce\ufffd");
}

TEST(SentencePiece, ATextThatItsModelCannotSpellIsAnError) {  // its word "<s>" is a control piece
  std::string bytes(text_of(test_data("tokenizers/word.model")));
  const std::string piece = "\u2581once";
  const std::size_t at = bytes.find(piece);
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(ids(Tokenizer::from_bytes(bytes_of(bytes)), "once"), (Ids{38}));
  bytes.replace(at + piece.size(), 0, "");
  const std::size_t end = at + piece.size();  // 0x15 and the score's four bytes; a type is put after them
  bytes.insert(end + 5, std::string("\x18\x03", 2));
  bytes[at - 3] = static_cast<char>(bytes[at - 3] + 2);  // the length of the piece's message
  const Tokenizer t = Tokenizer::from_bytes(bytes_of(bytes), "word");
  EXPECT_THAT(refusal(ErrorCode::kInvalidInput, [&] { (void)t.encode("once"); }), HasSubstr("word: SentencePiece cannot encode the text: "));
}

}  // namespace
}  // namespace portfire::text
