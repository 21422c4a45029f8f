#include <portfire/answer.h>

#include <limits>

#include <nlohmann/json.hpp>

#include "../archive/expect_error.h"

namespace portfire {
namespace {

std::string json_of(const Tensor& tensor, const std::string& name = "x") { return Answer{TensorAnswer{{{name, tensor}}}}.to_json(); }

template <typename T>
std::string json_of(const std::vector<T>& values) {
  return json_of(Tensor::copy_of(values, {static_cast<std::int64_t>(values.size())}));
}

TEST(Answer, WritesAClassificationOnOneLine) {
  const Answer answer{Classification{{{7, "seven", 0.75F}, {1, "one", 0.25F}}}};
  EXPECT_EQ(answer.to_json(),
            R"({"label": "seven", "probability": 0.75, "top": [{"index": 7, "label": "seven", "probability": 0.75}, )"
            R"({"index": 1, "label": "one", "probability": 0.25}]})");
}

TEST(Answer, EscapesLabels) {
  const std::string label = "a \"b\"\n\\ \xc3\xa9";
  const auto json = nlohmann::json::parse(Answer{Classification{{{0, label, 1}}}}.to_json());
  EXPECT_EQ(json["label"], label);
}

TEST(Answer, WritesTensorsAsNestedLists) {
  EXPECT_EQ(json_of(Tensor::copy_of(std::vector<float>{1, 2.5F, -3, 0.1F}, {2, 2}), "y"),
            R"({"y": {"dtype": "float32", "shape": [2, 2], "data": [[1, 2.5], [-3, 0.1]]}})");
  EXPECT_EQ(json_of(Tensor::copy_of(std::vector<std::int64_t>{-9007199254740993}, {})),
            R"({"x": {"dtype": "int64", "shape": [], "data": -9007199254740993}})");
  EXPECT_EQ(json_of(Tensor::zeros(DType::kUInt8, {0, 2})), R"({"x": {"dtype": "uint8", "shape": [0, 2], "data": []}})");
}

TEST(Answer, WritesEveryDType) {
  EXPECT_EQ(json_of<std::uint8_t>({0, 255}), R"({"x": {"dtype": "uint8", "shape": [2], "data": [0, 255]}})");
  EXPECT_EQ(json_of<std::int8_t>({-128}), R"({"x": {"dtype": "int8", "shape": [1], "data": [-128]}})");
  EXPECT_EQ(json_of<std::int16_t>({-300}), R"({"x": {"dtype": "int16", "shape": [1], "data": [-300]}})");
  EXPECT_EQ(json_of<std::int32_t>({70000}), R"({"x": {"dtype": "int32", "shape": [1], "data": [70000]}})");
  EXPECT_EQ(json_of<double>({0.1}), R"({"x": {"dtype": "float64", "shape": [1], "data": [0.1]}})");
  const bool bools[] = {true, false};
  EXPECT_EQ(json_of(Tensor::copy_of<bool>(bools, {2})), R"({"x": {"dtype": "bool", "shape": [2], "data": [true, false]}})");
  EXPECT_EQ(json_of(Tensor::zeros(DType::kFloat16, {1})), R"({"x": {"dtype": "float16", "shape": [1], "data": [0]}})");
  EXPECT_EQ(json_of(Tensor::zeros(DType::kBFloat16, {1})), R"({"x": {"dtype": "bfloat16", "shape": [1], "data": [0]}})");
}

TEST(Answer, WritesNullForWhatJsonHasNoNumberFor) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(json_of<float>({std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity}),
            R"({"x": {"dtype": "float32", "shape": [3], "data": [null, null, null]}})");
}

TEST(Answer, WritesStridedTensorsByTheirElements) {
  std::vector<float> memory{1, 9, 2, 9};
  EXPECT_EQ(json_of(Tensor::external({.data = memory.data(), .shape = {2}, .strides = {2}})),
            R"({"x": {"dtype": "float32", "shape": [2], "data": [1, 2]}})");
}

TEST(Answer, WritesSeveralTensorsInOrder) {
  const Tensor one = Tensor::copy_of(std::vector<std::uint8_t>{1}, {1});
  EXPECT_EQ((Answer{TensorAnswer{{{"b", one}, {"a", one}}}}.to_json()),
            R"({"b": {"dtype": "uint8", "shape": [1], "data": [1]}, "a": {"dtype": "uint8", "shape": [1], "data": [1]}})");
  EXPECT_EQ(Answer{TensorAnswer{}}.to_json(), "{}");
}

TEST(Answer, RefusesToBeReadAsAnotherTask) {
  const Answer classes{Classification{{{0, "a", 1}}}};
  const Answer tensors{TensorAnswer{}};
  EXPECT_EQ(classes.classification().label(), "a");
  EXPECT_TRUE(tensors.tensors().outputs.empty());
  test::expect_error([&] { (void)classes.tensors(); }, ErrorCode::kInvalidArgument, "the answer is not made of tensors; the model has another task");
  test::expect_error([&] { (void)tensors.classification(); }, ErrorCode::kInvalidArgument, "the answer is not a classification");
}

}  // namespace
}  // namespace portfire
