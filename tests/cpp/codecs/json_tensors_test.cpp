#include <gmock/gmock.h>

#include <limits>

#include <portfire/codecs.h>

#include "helpers.h"

namespace portfire {
namespace {

using testing::HasSubstr;

/// The tensors, each as "name: dtype [shape] cpu {values}".
std::vector<std::string> told(const std::string& json) {
  std::vector<std::string> lines;
  for (const auto& [name, tensor] : decode_json_tensors(bytes_of(json))) {
    lines.push_back(name + ": " + tensor.to_string());
  }
  return lines;
}

std::string refused(const std::string& json, ErrorCode code = ErrorCode::kInvalidInput) {
  return refusal(code, [&] { decode_json_tensors(bytes_of(json), "x.json"); });
}

TEST(JsonTensors, NestedListsTakeTheirShapeAndDtype) {
  EXPECT_THAT(told(R"({"x": [[1, 2], [3, 4]], "y": [1, 2.5], "z": [true, false], "s": 7})"),
              testing::ElementsAre("s: int64 [] cpu {7}", "x: int64 [2, 2] cpu {1, 2, 3, 4}",
                                   "y: float32 [2] cpu {1, 2.5}", "z: bool [2] cpu {true, false}"));
}

TEST(JsonTensors, ABareListHasNoName) {
  EXPECT_THAT(told("[[1.0], [2]]"), testing::ElementsAre(": float32 [2, 1] cpu {1, 2}"));
}

TEST(JsonTensors, EmptyListsKeepTheirShape) {
  EXPECT_THAT(told("[[], []]"), testing::ElementsAre(": int64 [2, 0] cpu"));
  EXPECT_THAT(told("[]"), testing::ElementsAre(": int64 [0] cpu"));
}

TEST(JsonTensors, DtypeAndShapeMayBeSaid) {
  EXPECT_THAT(told(R"({"x": {"dtype": "float64", "shape": [2, 2], "data": [1, 2, 3, 4]}})"),
              testing::ElementsAre("x: float64 [2, 2] cpu {1, 2, 3, 4}"));
  EXPECT_THAT(told(R"({"x": {"dtype": "uint8", "data": [[1], [255]]}})"),
              testing::ElementsAre("x: uint8 [2, 1] cpu {1, 255}"));
  EXPECT_THAT(told(R"({"x": {"shape": [1, 2], "data": [[true, false]]}})"),
              testing::ElementsAre("x: bool [1, 2] cpu {true, false}"));
  EXPECT_THAT(told(R"({"x": {"dtype": "int8", "shape": [], "data": -128}})"),
              testing::ElementsAre("x: int8 [] cpu {-128}"));
}

TEST(JsonTensors, SixteenBitFloatsAreRoundedToEven) {
  const auto halves = decode_json_tensors(
      bytes_of(R"({"x": {"dtype": "float16", "data": [1, -2, 0.1, 65504, 65519, 2049, 2051, 6e-8, 2.9e-8, -0.0]}})"));
  const std::vector<std::uint16_t> expected{0x3c00, 0xc000, 0x2e66, 0x7bff, 0x7bff, 0x6800, 0x6802, 1, 0, 0x8000};
  ASSERT_EQ(halves[0].tensor.nbytes(), expected.size() * 2);
  EXPECT_EQ(std::memcmp(halves[0].tensor.data(), expected.data(), expected.size() * 2), 0);
  const auto bfloats =
      decode_json_tensors(bytes_of(R"({"x": {"dtype": "bfloat16", "data": [1, -2, 0.1, 3e38, 257, 259, 1e-40]}})"));
  const std::vector<std::uint16_t> expected_bfloats{0x3f80, 0xc000, 0x3dcd, 0x7f62, 0x4380, 0x4382, 1};
  ASSERT_EQ(bfloats[0].tensor.nbytes(), expected_bfloats.size() * 2);
  EXPECT_EQ(std::memcmp(bfloats[0].tensor.data(), expected_bfloats.data(), expected_bfloats.size() * 2), 0);
}

TEST(JsonTensors, RaggedListsAreRefusedWithThePlace) {
  EXPECT_EQ(refused("[[1, 2], [3]]"), "x.json: list[1] has 1 values where its neighbours have 2");
  EXPECT_EQ(refused(R"({"x": [[[1], [2]], [[3], [4, 5]]]})"),
            "x.json: \"x\"[1][1] has 2 values where its neighbours have 1");
  EXPECT_EQ(refused("[[1], 2]"), "x.json: list[1] is no list where its neighbours are; all have the same lengths");
  EXPECT_EQ(refused("[1, [2]]"), "x.json: list[1] is a list where its neighbours are not; all have the same lengths");
}

TEST(JsonTensors, OtherValuesAreRefusedWithThePlace) {
  EXPECT_EQ(refused(R"({"x": [[1, null]]})"), "x.json: \"x\"[0][1] is null; a number or a boolean is needed");
  EXPECT_EQ(refused(R"(["a"])"), "x.json: list[0] is string; a number or a boolean is needed");
  EXPECT_EQ(refused("[[true], [1]]"),
            "x.json: list[1][0] is a number unlike its neighbours; all are numbers or all booleans");
  EXPECT_EQ(refused(R"({"x": {"dtype": "bool", "data": [0]}})"), "x.json: \"x\"[0] is number; a boolean is needed");
  EXPECT_THAT(refused(R"({"x": {"dtype": "int64", "data": [true]}})"), HasSubstr("\"true\"; a whole number"));
  EXPECT_THAT(refused(R"({"x": {"dtype": "float32", "data": ["1"]}})"), HasSubstr("a number that float32 holds"));
}

TEST(JsonTensors, NumbersPastTheirDtypeAreRefused) {
  const auto past = [](const std::string& dtype, const std::string& value) {
    return refused(R"({"x": {"dtype": ")" + dtype + R"(", "data": [)" + value + "]}}");
  };
  EXPECT_THAT(past("uint8", "256"), HasSubstr("\"256\"; a whole number that uint8 holds is needed"));
  EXPECT_THAT(past("uint8", "-1"), HasSubstr("a whole number that uint8 holds"));
  EXPECT_THAT(past("int8", "-129"), HasSubstr("a whole number that int8 holds"));
  EXPECT_THAT(past("int32", "2147483648"), HasSubstr("a whole number that int32 holds"));
  EXPECT_THAT(past("int64", "9223372036854775808"), HasSubstr("a whole number that int64 holds"));
  EXPECT_THAT(past("int64", "1.5"), HasSubstr("a whole number that int64 holds"));
  EXPECT_THAT(past("float16", "65520"), HasSubstr("a number that float16 holds"));
  EXPECT_THAT(past("bfloat16", "3.4e38"), HasSubstr("a number that bfloat16 holds"));
  EXPECT_THAT(past("float32", "-3.5e38"), HasSubstr("a number that float32 holds"));
  EXPECT_THAT(refused("[1e999]"), HasSubstr("too large"));
  EXPECT_THAT(told(R"({"x": {"dtype": "float32", "data": [3.4028235e38]}})"),
              testing::ElementsAre(HasSubstr("3.40282e+38")));
}

TEST(JsonTensors, TheFormIsNeverGuessed) {
  EXPECT_THAT(refused("5"), HasSubstr("an object of tensors by name, or a nested list, is needed"));
  EXPECT_THAT(refused("{}"), HasSubstr("an object of tensors by name, or a nested list, is needed"));
  EXPECT_THAT(refused(""), HasSubstr("not JSON"));
  EXPECT_THAT(refused("[1, 2"), HasSubstr("not JSON"));
  EXPECT_THAT(refused(R"({"x": 1, "x": 2})"), HasSubstr("\"x\" stands twice"));
  EXPECT_THAT(refused(R"({"x": {"values": [1]}})"), HasSubstr("a field \"values\"; dtype, shape and data are known"));
  EXPECT_THAT(refused(R"({"x": {"dtype": "int8"}})"), HasSubstr("\"x\" has no data"));
  EXPECT_THAT(refused(R"({"x": {"dtype": "half", "data": 1}})"), HasSubstr("unknown dtype \"half\""));
  EXPECT_THAT(refused(R"({"x": {"dtype": 5, "data": 1}})"), HasSubstr("a dtype that is no string"));
  EXPECT_THAT(refused(R"({"x": {"shape": 5, "data": 1}})"), HasSubstr("a shape that is no list"));
  EXPECT_THAT(refused(R"({"x": {"shape": [[1]], "data": 1}})"), HasSubstr("a shape that is no list"));
  EXPECT_THAT(refused(R"({"x": {"shape": [-1], "data": []}})"), HasSubstr("below zero"));
  EXPECT_THAT(refused(R"({"x": {"shape": [3], "data": [1, 2]}})"),
              HasSubstr("data of shape [2] where its shape says [3]"));
  EXPECT_THAT(refused(R"({"x": {"shape": [4], "data": [[1, 2], [3, 4]]}})"), HasSubstr("where its shape says [4]"));
  EXPECT_THAT(refused(R"({"x": {"shape": [4294967296, 4294967296], "data": []}})"), HasSubstr("larger than memory"));
}

TEST(JsonTensors, DeepNestingIsRefusedWithoutRecursion) {
  EXPECT_THAT(refused(std::string(1'000'000, '[')), HasSubstr("JSON more than 18 levels deep"));
  EXPECT_THAT(refused(std::string(17, '[') + "1" + std::string(17, ']'), ErrorCode::kUnsupported),
              HasSubstr("17 axes; at most 16"));
  EXPECT_EQ(decode_json_tensors(bytes_of(std::string(16, '[') + "1" + std::string(16, ']')))[0].tensor.rank(), 16u);
}

}  // namespace
}  // namespace portfire
