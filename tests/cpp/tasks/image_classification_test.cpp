#include "tasks/image_classification.h"

#include <limits>

#include "../archive/expect_error.h"
#include "fake_engine.h"

namespace portfire {
namespace {

using test::expect_error;
using test::grey_png;

const Manifest kManifest = test::classifier_manifest({"a", "b", "c"}, 4);

std::unique_ptr<Task> task(std::int64_t max_pixels = 100) { return make_image_classification(kManifest, max_pixels); }

Classification classify(const std::vector<float>& probabilities, int top_k = 5) {
  const Tensor tensor = Tensor::copy_of(probabilities, {static_cast<std::int64_t>(probabilities.size())});
  return std::get<Classification>(task()->answer({{"probabilities", tensor}}, {.top_k = top_k}).value);
}

TEST(ImageClassification, DecodesEncodedBytes) {
  const auto tensors = task()->decode(Input::bytes(grey_png(7), "seven.png"));
  ASSERT_EQ(tensors.size(), 1U);
  EXPECT_EQ(tensors[0].name, "image");
  EXPECT_EQ(tensors[0].tensor, Tensor::copy_of(std::vector<std::uint8_t>(12, 7), {2, 2, 3}));
}

TEST(ImageClassification, TakesADecodedPictureAsItIs) {
  const Tensor picture = Tensor::zeros(DType::kUInt8, {4, 5, 3});
  EXPECT_EQ(task()->decode(Input::tensor(picture))[0].tensor.data(), picture.data());
}

TEST(ImageClassification, RefusesBytesThatAreNoPicture) {
  const std::byte text[] = {std::byte{'O'}, std::byte{'n'}, std::byte{'c'}, std::byte{'e'}};
  expect_error([&] { (void)task()->decode(Input::bytes(text, "seven.txt")); }, ErrorCode::kInvalidInput, "seven.txt: ");
  expect_error([] { (void)task()->decode(Input::file("/no/such.png")); }, ErrorCode::kNotFound, "/no/such.png");
}

TEST(ImageClassification, HoldsEveryKindOfInputToThePixelLimit) {
  EXPECT_NO_THROW((void)task(4)->decode(Input::bytes(grey_png(7))));
  expect_error([] { (void)task(3)->decode(Input::bytes(grey_png(7), "big.png")); }, ErrorCode::kInvalidInput, "big.png");
  EXPECT_NO_THROW((void)task()->decode(Input::tensor(Tensor::zeros(DType::kUInt8, {10, 10, 3}))));
  expect_error([] { (void)task()->decode(Input::tensor(Tensor::zeros(DType::kUInt8, {10, 11, 3}), "big")); },
               ErrorCode::kInvalidInput, "big: a picture of 11 x 10 pixels; at most 100 are taken");
}

TEST(ImageClassification, RefusesTensorsThatAreNoPicture) {
  const auto refuse = [](const Tensor& tensor, const std::string& message) {
    expect_error([&] { (void)task()->decode(Input::tensor(tensor)); }, ErrorCode::kInvalidInput, message);
  };
  refuse(Tensor::zeros(DType::kFloat32, {4, 5, 3}), "input: float32 [4, 5, 3] cpu; greys takes a picture as uint8 [H, W, 3]");
  refuse(Tensor::zeros(DType::kUInt8, {4, 5}), "uint8 [4, 5]");
  refuse(Tensor::zeros(DType::kUInt8, {3, 4, 5}), "uint8 [3, 4, 5]");
  refuse(Tensor::zeros(DType::kUInt8, {0, 5, 3}), "uint8 [0, 5, 3]");
  refuse(Tensor::zeros(DType::kUInt8, {5, 0, 3}), "uint8 [5, 0, 3]");
  expect_error([] { (void)task()->decode(Input::tensors({})); }, ErrorCode::kInvalidInput, "0 tensors; greys takes one picture");
}

TEST(ImageClassification, NamesTheBestClassesFirst) {
  const Classification answer = classify({0.25F, 0.125F, 0.625F}, 2);
  EXPECT_EQ(answer.top, (std::vector<ScoredLabel>{{2, "c", 0.625F}, {0, "a", 0.25F}}));
  EXPECT_EQ(answer.label(), "c");
  EXPECT_EQ(answer.probability(), 0.625F);
}

TEST(ImageClassification, KeepsTheOrderOfLabelsAmongEquals) {
  EXPECT_EQ(classify({0.25F, 0.5F, 0.25F}).top, (std::vector<ScoredLabel>{{1, "b", 0.5F}, {0, "a", 0.25F}, {2, "c", 0.25F}}));
  EXPECT_EQ(classify({0.5F, 0.5F, 0.5F}, 1).top, (std::vector<ScoredLabel>{{0, "a", 0.5F}}));
}

TEST(ImageClassification, GivesAllClassesWhenMoreAreAskedFor) {
  EXPECT_EQ(classify({0.5F, 0.25F, 0.25F}, 100).top.size(), 3U);
}

TEST(ImageClassification, RefusesToNameNoClass) {
  expect_error([] { classify({1, 0, 0}, 0); }, ErrorCode::kInvalidArgument, "top_k is 0; at least 1");
  expect_error([] { classify({1, 0, 0}, -3); }, ErrorCode::kInvalidArgument, "top_k is -3");
}

TEST(ImageClassification, RefusesAPostprocessThatDoesNotFitTheLabels) {
  const auto refuse = [](std::vector<NamedTensor> outputs, const std::string& message) {
    expect_error([&] { (void)task()->answer(outputs, {}); }, ErrorCode::kInvalidPackage, message);
  };
  refuse({}, "greys: postprocess gave nothing; float32 [3] is needed, one probability a label");
  refuse({{"p", Tensor::zeros(DType::kFloat32, {4})}}, "postprocess gave float32 [4] cpu; float32 [3] is needed");
  refuse({{"p", Tensor::zeros(DType::kFloat64, {3})}}, "float64 [3]");
  refuse({{"p", Tensor::zeros(DType::kFloat32, {1, 3})}}, "float32 [1, 3]");
}

TEST(ImageClassification, RefusesProbabilitiesThatAreNotNumbers) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  expect_error([] { classify({0.5F, kNaN, 0.5F}); }, ErrorCode::kInvalidPackage, "greys: postprocess gave NaN for label \"b\"");
}

TEST(ImageClassification, ReadsStridedProbabilities) {
  std::vector<float> memory{0.25F, 9, 0.5F, 9, 0.25F, 9};
  const Tensor strided = Tensor::external({.data = memory.data(), .shape = {3}, .strides = {2}});
  EXPECT_EQ(std::get<Classification>(task()->answer({{"p", strided}}, {}).value).label(), "b");
}

}  // namespace
}  // namespace portfire
