#include "text.h"

namespace portfire::text {
namespace {

using testing::HasSubstr;

using Ids = std::vector<std::int64_t>;

const std::string kModel = R"({"type":"WordLevel","vocab":{"?":0,"a":1,"b":2,"c":3,"[C]":4,"[S]":5},"unk_token":"?"})";
const std::string kSplit = R"(,"pre_tokenizer":{"type":"WhitespaceSplit"})";
const std::string kTemplate = R"(,"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[C]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
  {"SpecialToken":{"id":"[S]","type_id":0}},{"SpecialToken":{"id":"[S]","type_id":0}}],"pair":[],
  "special_tokens":{"[C]":{"id":"[C]","ids":[4],"tokens":["[C]"]},"[S]":{"id":"[S]","ids":[5],"tokens":["[S]"]}}})";

Tokenizer with(const std::string& rest) { return with_model(kModel, kSplit + rest); }

std::string refused(const std::string& rest, ErrorCode code = ErrorCode::kInvalidPackage) {
  return refusal(code, [&] { with(rest); });
}

// The expected ids and offsets are those of the package tokenizers 0.23.3.
TEST(TokenizerJson, ATemplateIsPutAroundATextUnlessItIsNotWanted) {
  EXPECT_EQ(with(kTemplate).encode("a b"), (Encoding{{4, 1, 2, 5, 5}, {{0, 0}, {0, 1}, {2, 3}, {0, 0}, {0, 0}}}));
  EXPECT_EQ(ids(with(kTemplate), "a b", {.add_special_tokens = false}), (Ids{1, 2}));
  EXPECT_EQ(ids(with(R"(,"post_processor":{"type":"BertProcessing","cls":["[C]",4],"sep":["[S]",5]})"), "a"), (Ids{4, 1, 5}));
  EXPECT_EQ(ids(with(kTemplate), ""), (Ids{4, 5, 5}));
}

TEST(TokenizerJson, TruncationLeavesRoomForTheTemplate) {
  const std::string right = R"(,"truncation":{"max_length":4,"strategy":"LongestFirst","stride":0,"direction":"Right"})";
  const std::string left = R"(,"truncation":{"max_length":4,"strategy":"LongestFirst","stride":0,"direction":"Left"})";
  EXPECT_EQ(ids(with(kTemplate + right), "a b c"), (Ids{4, 1, 5, 5}));
  EXPECT_EQ(with(kTemplate + left).encode("a b c"), (Encoding{{4, 3, 5, 5}, {{0, 0}, {4, 5}, {0, 0}, {0, 0}}}));
  EXPECT_EQ(ids(with(kTemplate + left), "a b c a b", {.add_special_tokens = false}), (Ids{2, 3, 1, 2}));
}

TEST(TokenizerJson, ACallersLimitCountsTheTemplateToo) {
  EXPECT_EQ(ids(with(kTemplate), "a b c", {.max_tokens = 5}), (Ids{4, 1, 2, 5, 5}));
  EXPECT_EQ(ids(with(""), "a b c", {.max_tokens = 2}), (Ids{1, 2}));
  EXPECT_EQ(ids(with(""), "a b c", {.max_tokens = 0}), (Ids{1, 2, 3}));
  EXPECT_EQ(ids(with(kTemplate), "a b c", {.max_tokens = 3}), (Ids{4, 5, 5}));
}

TEST(TokenizerJson, PaddingIsToALengthAndToAMultiple) {
  const std::string fixed = R"(,"padding":{"strategy":{"Fixed":6},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"?"})";
  EXPECT_EQ(ids(with(kTemplate + fixed), "a b"), (Ids{4, 1, 2, 5, 5, 0}));
  EXPECT_EQ(ids(with(kTemplate + fixed), "a b c a b c"), (Ids{4, 1, 2, 3, 1, 2, 3, 5, 5}));
  const std::string multiple = R"(,"padding":{"strategy":"BatchLongest","direction":"Left","pad_to_multiple_of":4,"pad_id":1,"pad_type_id":0,"pad_token":"a"})";
  EXPECT_EQ(ids(with(kTemplate + multiple), "a b"), (Ids{1, 1, 1, 4, 1, 2, 5, 5}));
  EXPECT_EQ(ids(with(kTemplate + multiple), ""), (Ids{1, 4, 5, 5}));
}

TEST(TokenizerJson, TrimmedOffsetsLeaveOutTheSpacesAroundAToken) {
  const Tokenizer t = with_model(R"({"type":"BPE","vocab":{"Ġ":0,"a":1,"Ċ":2,"Ã":3,"©":4,"Ġa":5},"merges":["Ġ a"]})",
                                 R"(,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"post_processor":{"type":"ByteLevel","trim_offsets":true})");
  EXPECT_EQ(t.encode(" a\n a  "), (Encoding{{5, 2, 5, 0, 0}, {{1, 2}, {2, 3}, {4, 5}, {6, 6}, {7, 7}}}));
  EXPECT_EQ(t.encode("\u00e9 a").offsets, (std::vector<TextRange>{{0, 2}, {0, 2}, {3, 4}}));
}

TEST(TokenizerJson, WithoutADecoderSpacesAreBetweenTokens) { EXPECT_EQ(decoded(with(""), {1, 2, 1}), "a b a"); }

TEST(TokenizerJson, WhatIsNotJsonIsNotATokenizer) {
  const auto why = [](const std::string& json) { return refusal(ErrorCode::kInvalidPackage, [&] { tokenizer(json); }); };
  EXPECT_THAT(why("{"), HasSubstr("t.json: not JSON: "));
  EXPECT_EQ(why("{}"), "t.json: the field \"model\" is missing");
  EXPECT_THAT(why(R"({"model":{"type":"WordLevel","vocab":{"a":0,"a":1}}})"), HasSubstr("the key \"a\" is there twice"));
  EXPECT_THAT(why("{\"model\":\"\xFF\"}"), HasSubstr("t.json: not JSON: "));
  EXPECT_THAT(why("{\"model\":" + std::string(100, '[')), HasSubstr("nested more than 64 deep"));
  EXPECT_THAT(why(R"({"model":{"vocab":{},"type":7}})"), HasSubstr("model.type: 7 is not a string"));
}

TEST(TokenizerJson, IdsThatThereAreNotAreRefused) {
  EXPECT_EQ(refused(R"(,"post_processor":{"type":"BertProcessing","cls":["[C]",6],"sep":["[S]",5]})"),
            "t.json: post_processor: the id 6 is not in the vocabulary, which ends at 5");
  EXPECT_EQ(refused(R"(,"padding":{"strategy":"BatchLongest","pad_id":6})"), "t.json: padding: the id 6 is not in the vocabulary, which ends at 5");
}

TEST(TokenizerJson, LengthsPastMemoryAreRefused) {
  EXPECT_EQ(refused(R"(,"padding":{"strategy":{"Fixed":16777217},"pad_id":0})"), "t.json: padding.strategy.Fixed: 16777217 is too long; at most 16777216");
  EXPECT_EQ(refused(R"(,"padding":{"strategy":"BatchLongest","pad_id":0,"pad_to_multiple_of":9223372036854775807})"),
            "t.json: padding.pad_to_multiple_of: 9223372036854775807 is too long; at most 16777216");
}

TEST(TokenizerJson, DamageIsNamed) {
  EXPECT_EQ(refused(R"(,"truncation":{})"), "t.json: truncation: the field \"max_length\" is missing");
  EXPECT_EQ(refused(R"(,"truncation":{"max_length":1,"direction":"Up"})"), "t.json: truncation.direction: \"Up\" is not known; one of Left, Right");
  EXPECT_EQ(refused(R"(,"post_processor":{"type":"TemplateProcessing","single":[],"special_tokens":{}})"),
            "t.json: post_processor.single: has 0 places for the text; one is needed");
  EXPECT_THAT(refused(R"(,"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[X]"}}],"special_tokens":{}})"),
              HasSubstr("the token \"[X]\" is not in special_tokens"));
  EXPECT_EQ(refused(R"(,"post_processor":{"type":"Other"})", ErrorCode::kUnsupported),
            "t.json: post_processor: the post-processor \"Other\" is not known here; docs/tokenizers.md lists what is");
  const std::string bert = R"({"type":"BertProcessing","cls":["[C]",4],"sep":["[S]",5]})";
  EXPECT_THAT(refused(R"(,"post_processor":{"type":"Sequence","processors":[)" + bert + "," + bert + "]}", ErrorCode::kUnsupported), HasSubstr("two steps add tokens"));
}

}  // namespace
}  // namespace portfire::text
