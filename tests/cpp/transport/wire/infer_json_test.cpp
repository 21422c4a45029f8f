#include "transport/wire/infer_json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "../../archive/expect_error.h"

namespace portfire::wire {
namespace {

using test::expect_error;

/// A body as the server gives it, in memory of exactly the size that was promised.
InferRequest read(const std::string& json, const std::string& binary = "", std::size_t padding = 64) {
  const std::string body = json + binary;
  const auto memory = std::make_unique<char[]>(body.size() + padding);
  std::memcpy(memory.get(), body.data(), body.size());
  std::memset(memory.get() + body.size(), ' ', padding);
  return infer_request_of({memory.get(), body.size()}, json.size());
}

std::string input(const std::string& datatype, const std::string& shape, const std::string& data) {
  return R"({"inputs":[{"name":"x","datatype":")" + datatype + R"(","shape":)" + shape + R"(,"data":)" + data + "}]}";
}

void refuses(const std::string& json, const std::string& part, const std::string& binary = "") {
  SCOPED_TRACE(json.substr(0, 200));
  expect_error([&] { (void)read(json, binary); }, ErrorCode::kInvalidInput, part);
}

template <typename T>
std::vector<T> values(const InferRequest& request, std::size_t k = 0) {
  const auto all = request.inputs.at(k).tensor.values<T>();
  return {all.begin(), all.end()};
}

TEST(InferJson, ReadsEveryDatatype) {
  EXPECT_EQ(values<bool>(read(input("BOOL", "[3]", "[true,false,true]"))), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(values<std::uint8_t>(read(input("UINT8", "[2]", "[0,255]"))), (std::vector<std::uint8_t>{0, 255}));
  EXPECT_EQ(values<std::int8_t>(read(input("INT8", "[2]", "[-128,127]"))), (std::vector<std::int8_t>{-128, 127}));
  EXPECT_EQ(values<std::int16_t>(read(input("INT16", "[2]", "[-32768,32767]"))), (std::vector<std::int16_t>{-32768, 32767}));
  EXPECT_EQ(values<std::int32_t>(read(input("INT32", "[2]", "[-2147483648,2147483647]"))), (std::vector<std::int32_t>{-2147483647 - 1, 2147483647}));
  EXPECT_EQ(values<std::int64_t>(read(input("INT64", "[2]", "[-9223372036854775808,9223372036854775807]"))),
            (std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}));
  EXPECT_EQ(values<float>(read(input("FP32", "[4]", "[1,-2.5,1e-3,3.4028234663852886e38]"))), (std::vector<float>{1, -2.5F, 1e-3F, 3.4028234663852886e38F}));
  EXPECT_EQ(values<double>(read(input("FP64", "[2]", "[1e308,-4.9e-324]"))), (std::vector<double>{1e308, -4.9e-324}));
  EXPECT_EQ(read(input("FP16", "[1]", "[1.5]")).inputs[0].tensor.dtype(), DType::kFloat16);
  EXPECT_EQ(read(input("BF16", "[1]", "[1.5]")).inputs[0].tensor.dtype(), DType::kBFloat16);
  EXPECT_TRUE(std::signbit(values<float>(read(input("FP32", "[1]", "[-0.0]")))[0]));
}

TEST(InferJson, ReadsDataFlatOrNestedInAnyWay) {
  for (const char* data : {"[1,2,3,4]", "[[1,2],[3,4]]", "[[[1],[2]],[[3],[4]]]", "[[1,2,3,4]]", "[1,[2,[3]],4]"}) {
    const InferRequest request = read(input("FP32", "[2,2]", data));
    EXPECT_EQ(request.inputs[0].tensor.shape(), (Dims{2, 2}));
    EXPECT_EQ(values<float>(request), (std::vector<float>{1, 2, 3, 4})) << data;
  }
}

TEST(InferJson, ReadsEmptyTensorsAndScalars) {
  EXPECT_EQ(read(input("FP32", "[0]", "[]")).inputs[0].tensor.shape(), (Dims{0}));
  EXPECT_EQ(read(input("FP32", "[2,0,3]", "[]")).inputs[0].tensor.shape(), (Dims{2, 0, 3}));
  EXPECT_EQ(values<float>(read(input("FP32", "[]", "[7]"))), (std::vector<float>{7}));
  refuses(input("FP32", "[0]", "[1]"), "more than 0 elements");
}

TEST(InferJson, ReadsFieldsInAnyOrder) {
  const InferRequest request = read(
      R"({"parameters":{"timeout":5,"priority":2,"binary_data_output":true},"outputs":[{"name":"y","parameters":{"classification":3}},{"parameters":{"binary_data":false},"name":"z"}],)"
      R"("inputs":[{"data":[1,2],"unknown":{"a":[1,{"b":null}]},"shape":[2],"parameters":{},"name":"x","datatype":"INT32"},{"data":[3],"datatype":"INT8","name":"w","shape":[1]}],"id":"seven","more":[true]})");
  EXPECT_EQ(request.id, "seven");
  EXPECT_EQ(request.timeout_us, 5);
  EXPECT_EQ(request.priority, 2);
  EXPECT_TRUE(request.all_binary);
  ASSERT_EQ(request.inputs.size(), 2U);
  EXPECT_EQ(request.inputs[0].name, "x");
  EXPECT_EQ(values<std::int32_t>(request), (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(values<std::int8_t>(request, 1), (std::vector<std::int8_t>{3}));
  ASSERT_EQ(request.outputs.size(), 2U);
  EXPECT_EQ(request.outputs[0].classes, 3);
  EXPECT_EQ(request.outputs[1].binary, false);
}

TEST(InferJson, ReadsBinaryData) {
  const auto head = [](const std::string& datatype, const std::string& shape, const std::string& bytes) {
    return R"({"inputs":[{"name":"x","shape":)" + shape + R"(,"datatype":")" + datatype + R"(","parameters":{"binary_data_size":)" + bytes + "}}]}";
  };
  const float two[]{1.5F, -2};
  const std::string bytes(reinterpret_cast<const char*>(two), 8);
  EXPECT_EQ(values<float>(read(head("FP32", "[2]", "8"), bytes)), (std::vector<float>{1.5F, -2}));
  EXPECT_EQ(read(head("FP32", "[0]", "0")).inputs[0].tensor.shape(), (Dims{0}));
  // Bytes are not JSON: a NaN is one.
  const float nan = NAN;
  EXPECT_TRUE(std::isnan(values<float>(read(head("FP32", "[1]", "4"), std::string(reinterpret_cast<const char*>(&nan), 4)))[0]));
  refuses(head("FP32", "[2]", "4"), "takes 8", bytes);
  refuses(head("FP32", "[2]", "8"), "7 left", bytes.substr(1));
  refuses(head("FP32", "[2]", "8"), "1 bytes after", bytes + "x");
  refuses(head("FP32", "[2]", "-8"), "is -8", bytes);
  refuses(head("FP32", "[2]", "9223372036854775807"), "takes 8", bytes);
  refuses(head("FP32", "[2]", "18446744073709551616"), "binary_data_size", bytes);
  refuses(head("FP32", "[2]", "8.0"), "whole number", bytes);
  refuses(head("FP32", "[4611686018427387904]", "0"), "more elements than came", bytes);
  refuses(head("BOOL", "[2]", "2"), "neither 0 nor 1", std::string("\1\2", 2));
  refuses(R"({"inputs":[{"name":"x","shape":[2],"datatype":"FP32","data":[1,2],"parameters":{"binary_data_size":8}}]})", "both", bytes);
  refuses(input("FP32", "[1]", "[1]"), "1 bytes after", "x");
}

TEST(InferJson, TakesTheBinaryDataOfInputsInTheirOrder) {
  const InferRequest request = read(
      R"({"inputs":[{"name":"a","shape":[2],"datatype":"UINT8","parameters":{"binary_data_size":2}},{"name":"b","shape":[1],"datatype":"FP32","data":[5]},{"name":"c","shape":[1],"datatype":"INT8","parameters":{"binary_data_size":1}}]})",
      std::string("\1\2\3", 3));
  EXPECT_EQ(values<std::uint8_t>(request), (std::vector<std::uint8_t>{1, 2}));
  EXPECT_EQ(values<float>(request, 1), (std::vector<float>{5}));
  EXPECT_EQ(values<std::int8_t>(request, 2), (std::vector<std::int8_t>{3}));
}

TEST(InferJson, TheLengthOfItsJsonIsHeldAgainstTheBody) {
  const std::string body = input("FP32", "[1]", "[1]");
  expect_error([&] { (void)infer_request_of(std::string_view(body.data(), 3), 4); }, ErrorCode::kInvalidInput, "the body has 3");
  expect_error([&] { (void)infer_request_of(std::string_view(body.data(), 3), static_cast<std::size_t>(-1)); }, ErrorCode::kInvalidInput, "the body has 3");
  refuses("", "not JSON", "{}");
}

TEST(InferJson, RefusesNumbersThatTheDatatypeDoesNotHold) {
  refuses(input("UINT8", "[1]", "[256]"), "more than its datatype holds");
  refuses(input("UINT8", "[1]", "[-1]"), "more than its datatype holds");
  refuses(input("INT8", "[1]", "[128]"), "more than its datatype holds");
  refuses(input("INT32", "[1]", "[2147483648]"), "more than its datatype holds");
  refuses(input("INT64", "[1]", "[9223372036854775808]"), "inputs[0].data");
  refuses(input("INT64", "[1]", "[-9223372036854775809]"), "inputs[0].data");
  refuses(input("INT64", "[1]", "[1e3]"), "whole number");
  refuses(input("INT64", "[1]", "[1.0]"), "whole number");
  refuses(input("FP32", "[1]", "[1e39]"), "more than its datatype holds");
  refuses(input("FP32", "[1]", "[-1e308]"), "more than its datatype holds");
  refuses(input("FP64", "[1]", "[1e309]"), "inputs[0].data");
  refuses(input("FP16", "[1]", "[65520]"), "FP16");
  refuses(input("FP16", "[1]", "[-1e300]"), "FP16");
  refuses(input("BF16", "[1]", "[3.4e38]"), "BF16");
  refuses(input("FP32", "[1]", "[1" + std::string(400, '0') + "]"), "inputs[0].data");
}

TEST(InferJson, RefusesValuesOfAnotherKind) {
  refuses(input("BOOL", "[1]", "[1]"), "not true or false");
  refuses(input("BOOL", "[1]", "[\"true\"]"), "not true or false");
  refuses(input("FP32", "[1]", "[true]"), "not a number");
  refuses(input("FP32", "[1]", "[\"1\"]"), "not a number");
  refuses(input("FP32", "[1]", "[null]"), "inputs[0].data");
  refuses(input("FP32", "[1]", "[NaN]"), "inputs[0].data");
  refuses(input("FP32", "[1]", "[Infinity]"), "inputs[0].data");
  refuses(input("FP32", "[1]", "[-Infinity]"), "inputs[0].data");
  for (const char* number : {"01", "+1", ".5", "1.", "1e", "0x10", "--1", "1_000", "1,"}) refuses(input("FP32", "[1]", "[" + std::string(number) + "]"), "");
  refuses(input("FP32", "[1]", "1"), "not a list");
  refuses(input("FP32", "[1]", "{}"), "not a list");
  refuses(input("FP32", "[1]", "[{}]"), "not a number");
  refuses(input("FP32", "1", "[1]"), "shape");
  refuses(input("FP32", "[\"1\"]", "[1]"), "shape");
  refuses(input("FP32", "[1.5]", "[1]"), "shape");
  refuses(input("BYTES", "[1]", "[\"a\"]"), "BYTES");
  refuses(input("fp32", "[1]", "[1]"), "fp32");
  refuses(R"({"inputs":[{"name":7,"datatype":"FP32","shape":[1],"data":[1]}]})", "name");
  refuses(R"({"inputs":[{"name":"x","datatype":7,"shape":[1],"data":[1]}]})", "datatype");
  refuses(R"({"id":7,"inputs":[]})", "id");
  refuses(R"({"inputs":{}})", "not a list");
  refuses(R"({"inputs":[7]})", "not an object");
  refuses(R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]}],"outputs":[{"name":"y","parameters":{"classification":-1}}]})", "is -1");
  refuses(R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]}],"outputs":[{}]})", "no \"name\"");
  refuses(R"({"parameters":{"timeout":"soon"}})", "timeout");
  refuses(R"({"parameters":{"binary_data_output":1}})", "true or false");
  expect_error([] { (void)read(R"({"parameters":{"sequence_id":1}})"); }, ErrorCode::kUnsupported, "sequences");
}

TEST(InferJson, RefusesShapesThatTheDataDoNotHave) {
  refuses(input("FP32", "[2]", "[1]"), "has 1 elements; its shape has 2");
  refuses(input("FP32", "[1]", "[1,2]"), "more than 1 elements");
  refuses(input("FP32", "[-1]", "[1]"), "size of -1");
  refuses(input("FP32", "[2,-1]", "[1,2]"), "size of -1");
  refuses(input("FP32", "[9223372036854775807]", "[1]"), "more elements than came");
  refuses(input("FP32", "[4294967296,4294967296]", "[]"), "more elements than came");
  refuses(input("FP32", "[1000000000]", "[1]"), "more elements than came");
  refuses(input("FP32", "[9223372036854775808]", "[1]"), "shape");
  refuses(input("FP32", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[1]"), "more than 16 axes");
  // Sizes beside a 0 count too: strides are products of them.
  refuses(input("FP32", "[0,4611686018427387904,4]", "[]"), "more elements than came");
  refuses(input("FP32", "[4611686018427387904,0]", "[]"), "more elements than came");
}

TEST(InferJson, RefusesFieldsTwice) {
  const std::string rest = R"(,"name":"x","datatype":"FP32","shape":[1],"data":[1]}]})";
  refuses(R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1],"data":[2]}]})", "twice");
  refuses(R"({"inputs":[{"data":[1],"data":[2],"name":"x","datatype":"FP32","shape":[1]}]})", "twice");
  refuses(R"({"inputs":[{"data":[1],"name":"x","datatype":"FP32","shape":[1],"data":[1]}]})", "twice");
  refuses(R"({"inputs":[{"shape":[2])" + rest, "twice");
  refuses(R"({"inputs":[{"datatype":"FP64")" + rest, "twice");
  refuses(R"({"inputs":[{"name":"y")" + rest, "twice");
  refuses(R"({"inputs":[{"parameters":{"binary_data_size":4,"binary_data_size":0},"shape":[0],"datatype":"FP32","name":"x"}]})", "twice");
  refuses(R"({"inputs":[],"inputs":[{"name":"x")" + rest, "twice");
  refuses(R"({"outputs":[],"outputs":[{"name":"y"}],"inputs":[{"parameters":{})" + rest, "twice");
  refuses(R"({"id":"a","id":"b","inputs":[{"parameters":{})" + rest, "twice");
}

TEST(InferJson, RefusesWhatIsMissing) {
  refuses("{}", "no \"inputs\"");
  refuses(R"({"inputs":[]})", "no \"inputs\"");
  refuses(R"({"inputs":[{}]})", "no \"name\"");
  refuses(R"({"inputs":[{"name":"x"}]})", "no \"data\"");
  refuses(R"({"inputs":[{"name":"x","data":[1],"datatype":"FP32"}]})", "no \"shape\"");
  refuses(R"({"inputs":[{"name":"x","data":[1],"shape":[1]}]})", "datatype");
  refuses(R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1]}]})", "no \"data\"");
}

TEST(InferJson, RefusesWhatIsNotJson) {
  const std::string good = input("FP32", "[2]", "[1,2]");
  for (std::size_t length = 0; length < good.size(); ++length) refuses(good.substr(0, length), "");
  for (const char* bad : {"", " ", "\n", "null", "7", "\"x\"", "[]", "{", "}", "{]", "[}", "{\"a\"}", "{\"a\":}", "{a:1}", "{'a':1}", "{\"a\":1,}", "{,}", "{\"a\" 1}",
                          "{\"a\":1 \"b\":2}", "{\"a\":tru}", "{\"a\":nul}", "{\"a\":nulls}", "{\"a\":\"\n\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}", "{\"a\":[1 2]}", "{\"a\":[,1]}",
                          "/*c*/{}", "\xef\xbb\xbf{", "{\"a\":\"", "{\"a\":\"\\"}) {
    refuses(bad, "");
  }
  refuses(good + "x", "");
  refuses(good + "{}", "");
  refuses(good + good, "");
  refuses(good + "]", "");
  refuses(good + ",", "");
  refuses(good + std::string(1, '\0'), "");
  EXPECT_EQ(read(" \r\n\t" + good + " \n").inputs.size(), 1U);
}

TEST(InferJson, RefusesWhatIsNotUnicode) {
  const auto named = [](const std::string& name) { return R"({"inputs":[{"name":")" + name + R"(","datatype":"FP32","shape":[1],"data":[1]}]})"; };
  EXPECT_EQ(read(named("\\u00e9\\ud83d\\ude00")).inputs[0].name, "\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT_EQ(read(named("a\\u0000b")).inputs[0].name, std::string("a\0b", 3));
  for (const char* bad : {"\\ud83d", "\\ude00", "\\ud83d\\u0041", "\\ud83dx", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) refuses(named(bad), "");
  refuses("{\"\xff\":1}", "");
}

TEST(InferJson, RefusesWhatIsDeep) {
  for (const int depth : {40, 200, 5000, 200000}) {
    const std::string open(static_cast<std::size_t>(depth), '[');
    const std::string close(static_cast<std::size_t>(depth), ']');
    refuses(open, "");
    refuses(open + close, "");
    refuses(input("FP32", "[1]", open + "1" + close), "");
    refuses(input("FP32", "[1]", open), "");
    refuses(input("FP32", open + "1" + close, "[1]"), "");
    refuses(R"({"more":)" + open + close + "}", "");
    refuses(R"({"parameters":{"more":)" + open + close + "}}", "");
    refuses(R"({"inputs":)" + open + close + "}", "");
    std::string objects;
    for (int k = 0; k < depth; ++k) objects += R"({"a":)";
    refuses(R"({"more":)" + objects + "1" + std::string(static_cast<std::size_t>(depth), '}') + "}", "");
    refuses(objects, "");
  }
  EXPECT_EQ(values<float>(read(input("FP32", "[1]", std::string(20, '[') + "1" + std::string(20, ']')))), (std::vector<float>{1}));
}

TEST(InferJson, AnErrorLeavesNothingBehind) {
  for (int k = 0; k < 3; ++k) {
    refuses(R"({"inputs":[{"name":"x","datatype":"FP32","shape":[2],"data":[1,"two)", "");
    EXPECT_EQ(values<float>(read(input("FP32", "[2]", "[1,2]"))), (std::vector<float>{1, 2}));
  }
}

TEST(InferJson, ReadsMuchAfterLittleAndLittleAfterMuch) {
  std::string data = "[0";
  for (int k = 1; k < 400000; ++k) data += ",1.25";
  data += "]";
  EXPECT_EQ(values<float>(read(input("FP32", "[1]", "[7]"))), (std::vector<float>{7}));
  EXPECT_EQ(values<float>(read(input("FP32", "[400000]", data))).back(), 1.25F);
  EXPECT_EQ(values<float>(read(input("FP32", "[1]", "[7]"))), (std::vector<float>{7}));
}

}  // namespace
}  // namespace portfire::wire
