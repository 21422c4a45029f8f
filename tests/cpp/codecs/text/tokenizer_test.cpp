#include "text.h"

namespace portfire::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Ids = std::vector<std::int64_t>;

const std::string kBytes = R"({"type":"BPE","vocab":{"a":0,"Ã":1,"©":2,"ð":3,"Ł":4,"ĺ":5,"Ģ":6,"ÿ":7},"merges":[]})";

Tokenizer of_bytes() {
  return with_model(kBytes, R"(,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"},
                               "added_tokens":[{"id":8,"content":"<s>","special":true}])");
}

Tokenizer llama() {
  return with_model(R"({"type":"BPE","byte_fallback":true,"vocab":{"<unk>":0,"▁a":1,"▁":2,"b":3,"<0xC3>":4,"<0xA9>":5,"<0xFF>":6},"merges":[]})",
                    R"(,"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},
                       {"type":"Strip","content":" ","start":1,"stop":0}]})");
}

Tokenizer pieces() {
  return with_model(R"({"type":"WordPiece","vocab":{"[UNK]":0,"a":1,"##b":2,",":3,"[SEP]":4}})",
                    R"(,"decoder":{"type":"WordPiece"},"added_tokens":[{"id":4,"content":"[SEP]","special":true}])");
}

std::vector<std::string> streamed(const Tokenizer& tokenizer, const Ids& ids, bool skip_special_tokens = true) {
  DecodeStream stream(tokenizer, skip_special_tokens);
  std::vector<std::string> parts;
  for (const std::int64_t id : ids) parts.push_back(stream.push(id));
  parts.push_back(stream.finish());
  return parts;
}

TEST(Tokenizer, TextIsUtf8) {
  EXPECT_EQ(refusal(ErrorCode::kInvalidInput, [] { (void)of_bytes().encode("a\xC3"); }), "the text is not UTF-8 at byte 1");
}

TEST(Tokenizer, AnIdIsOneThatThereIs) {
  for (const std::int64_t id : {std::int64_t{-1}, std::int64_t{9}, std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    const std::string expected = "token id " + std::to_string(id) + "; from 0 to 8 there are";
    EXPECT_EQ(refusal(ErrorCode::kInvalidInput, [&] { (void)decoded(of_bytes(), {id}); }), expected);
    EXPECT_EQ(refusal(ErrorCode::kInvalidInput, [&] { (void)of_bytes().token(id); }), expected);
    EXPECT_EQ(refusal(ErrorCode::kInvalidInput, [&] { (void)DecodeStream(of_bytes()).push(id); }), expected);
  }
}

TEST(Tokenizer, IdsMayHaveGaps) {
  const Tokenizer t = with_model(R"({"type":"WordLevel","vocab":{"a":1,"b":5},"unk_token":"a"})");
  EXPECT_EQ(t.vocabulary_size(), 6);
  EXPECT_EQ(t.token(3), "");
  EXPECT_EQ(decoded(t, {1, 3, 5}), "a b");
}

TEST(Tokenizer, AFileThatIsNotThereIsNotFound) {
  EXPECT_THAT(refusal(ErrorCode::kNotFound, [] { Tokenizer::load("/no/such/tokenizer.json"); }), HasSubstr("/no/such/tokenizer.json"));
}

TEST(Tokenizer, BytesThatAreNoTextAreReplacedInTheWhole) {
  EXPECT_EQ(decoded(of_bytes(), {0, 1, 0}), "a\ufffd" "a");
  EXPECT_EQ(decoded(of_bytes(), {1, 2}), "\u00e9");
}

TEST(DecodeStream, ACodePointComesWhenItIsWhole) {
  EXPECT_THAT(streamed(of_bytes(), {0, 1, 2, 3, 4, 5, 6, 0}), ElementsAre("a", "", "\u00e9", "", "", "", "\U0001F600", "a", ""));
  EXPECT_THAT(streamed(of_bytes(), {0, 3, 4}), ElementsAre("a", "", "", "\ufffd"));
  EXPECT_THAT(streamed(of_bytes(), {1, 0, 7, 2}), ElementsAre("", "\ufffd" "a", "\ufffd", "\ufffd", ""));
}

TEST(DecodeStream, TheFirstTokenIsTheFirstOnlyOnce) {
  EXPECT_THAT(streamed(llama(), {1, 2, 1, 3}), ElementsAre("a", " ", " a", "b", ""));
  EXPECT_THAT(streamed(llama(), {2, 1, 4, 5, 2}), ElementsAre("", " a", "", "\u00e9", " ", ""));
  EXPECT_THAT(streamed(pieces(), {1, 2, 3, 1}), ElementsAre("a", "b", ",", " a", ""));
}

TEST(DecodeStream, SpecialTokensLeaveNoTrace) {
  EXPECT_THAT(streamed(pieces(), {4, 1, 4, 2, 4}), ElementsAre("", "a", "", "b", "", ""));
  EXPECT_THAT(streamed(pieces(), {4, 1}, false), ElementsAre("[SEP]", " a", ""));
}

TEST(DecodeStream, WhatIsStrippedFromTheStartIsStrippedOnce) {
  const Tokenizer t = with_model(R"({"type":"WordLevel","vocab":{"x":0,"a":1}})",
                                 R"(,"decoder":{"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Strip","content":"a","start":2,"stop":0}]})");
  EXPECT_THAT(streamed(t, {1, 1, 1, 0, 1, 1, 1}), ElementsAre("", "", "a", "x", "a", "a", "a", ""));
}

TEST(DecodeStream, BytesOfASentencePieceModel) {
  const Tokenizer t = Tokenizer::from_bytes(test_data("tokenizers/bpe.model"));
  EXPECT_THAT(streamed(t, {351, 234, 155, 169, 314, 3}), ElementsAre("", "", "", "\u65e5", " reads", "<sep>", ""));
  EXPECT_THAT(streamed(t, {340, 259, 314, 234, 314}), ElementsAre("nce", "\ufffd", " reads", "", "\ufffd reads", ""));
}

}  // namespace
}  // namespace portfire::text
