#include "archive/json_node.h"

#include <nlohmann/json.hpp>

#include "expect_error.h"

namespace portfire {
namespace {

using test::expect_error;

constexpr auto kInvalid = ErrorCode::kInvalidPackage;

void expect_refused(const std::string& text, const std::string& part) {
  expect_error([&] { parse_strict_json(text, "m"); }, kInvalid, part);
}

TEST(StrictJson, RefusesWhatIsNoJson) {
  for (const char* text : {"", "{", "{\"a\": 1,}", "NaN", "[Infinity]", "{} {}", "// x\n{}", "'a'"}) {
    expect_refused(text, "m: not JSON: ");
  }
}

TEST(StrictJson, RefusesInvalidUtf8) {
  expect_refused("{\"a\": \"\xff\"}", "not JSON");
  expect_refused("{\"a\": \"\xed\xa0\x80\"}", "not JSON");
  expect_refused("{\"a\": \"\\ud800\"}", "not JSON");
}

TEST(StrictJson, RefusesDuplicateKeysAtAnyDepth) {
  expect_refused(R"({"a": 1, "a": 1})", "the key \"a\" is there twice");
  expect_refused(R"([{"b": {"a": 1, "c": {"a": 2}, "\u0061": 1}}])", "the key \"a\" is there twice");
  EXPECT_EQ(parse_strict_json(R"({"a": {"a": 1}, "b": {"a": 1}})", "m").size(), 2u);
}

TEST(StrictJson, RefusesDepthWithoutRunningOutOfStack) {
  expect_refused(std::string(8 << 20, '['), "nested more than 64 deep");
  std::string objects;
  for (int k = 0; k < 100'000; ++k) objects += "{\"a\":";
  expect_refused(objects, "nested more than 64 deep");
  EXPECT_TRUE(parse_strict_json(std::string(60, '[') + std::string(60, ']'), "m").is_array());
}

TEST(StrictJson, RefusesMoreThan16MiB) {
  expect_refused("\"" + std::string(16 << 20, 'a') + "\"", "at most 16.0 MiB");
}

TEST(StrictJson, RefusesNumbersThatAreNotFinite) { expect_refused("1e999", "not JSON"); }

TEST(JsonNode, NamesThePathOfAFault) {
  const auto json = parse_strict_json(R"({"a": {"b": [1, {"c": "x"}]}})", "m");
  const std::string name = "x.pt: manifest";
  const JsonNode root(json, name);
  const JsonNode c = root.at("a").at("b").elements()[1].at("c");
  EXPECT_EQ(c.string(), "x");
  expect_error([&] { (void)c.integer(0); }, kInvalid, "x.pt: manifest: a.b[1].c: \"x\" is not a whole number of at least 0");
  expect_error([&] { (void)c.number(); }, kInvalid, "a.b[1].c: \"x\" is not a finite number");
  expect_error([&] { (void)c.elements(); }, kInvalid, "a.b[1].c: \"x\" is not an array");
  expect_error([&] { (void)c.fields(); }, kInvalid, "a.b[1].c: \"x\" is not an object");
  expect_error([&] { (void)root.string(); }, kInvalid, "x.pt: manifest: an object is not a string");
  expect_error([&] { root.expect_fields({"a", "z"}); }, kInvalid, "the field \"z\" is missing");
  expect_error([&] { root.at("a").expect_fields({}, {"d"}); }, kInvalid, "a: the field \"b\" is not known; allowed are d");
}

TEST(JsonNode, HoldsIntegersInTheirRange) {
  const std::string name = "m";
  const auto integer = [&](const std::string& text) {
    const auto json = parse_strict_json(text, name);
    return JsonNode(json, name).integer(1);
  };
  EXPECT_EQ(integer("1"), 1);
  EXPECT_EQ(integer("9223372036854775807"), INT64_MAX);
  for (const char* text : {"0", "-1", "1.0", "9223372036854775808", "1e30", "true", "null"}) {
    expect_error([&] { (void)integer(text); }, kInvalid, "not a whole number of at least 1");
  }
}

}  // namespace
}  // namespace portfire
