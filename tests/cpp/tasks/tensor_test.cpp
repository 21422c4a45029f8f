#include "tasks/tensor.h"

#include <portfire/codecs.h>

#include "../archive/expect_error.h"

namespace portfire {
namespace {

using test::expect_error;

const Tensor kNumbers = Tensor::copy_of(std::vector<float>{1, 2, 3}, {3});

Input text(const std::string& content) { return Input::bytes(std::as_bytes(std::span(content)), "input.bin"); }

std::vector<NamedTensor> decode(const Input& input) { return make_tensor_task()->decode(input); }

TEST(TensorTask, TellsNpyByItsContent) {
  EXPECT_EQ(decode(Input::bytes(encode_npy(kNumbers))), (std::vector<NamedTensor>{{"", kNumbers}}));
}

TEST(TensorTask, TellsSafetensorsByTheirContent) {
  const std::vector<NamedTensor> named{{"x", kNumbers}, {"y", kNumbers}};
  EXPECT_EQ(decode(Input::bytes(encode_safetensors(named))), named);
}

TEST(TensorTask, TellsJsonByItsContent) {
  EXPECT_EQ(decode(text(" \n[1.0, 2.0, 3.0]")), (std::vector<NamedTensor>{{"", kNumbers}}));
  EXPECT_EQ(decode(text(R"({"x": [1.0, 2.0, 3.0]})")), (std::vector<NamedTensor>{{"x", kNumbers}}));
}

TEST(TensorTask, TakesJsonForJsonWhereverItsBracesStand) {
  for (std::size_t length = 1; length < 12; ++length) {  // once the inner brace is the ninth byte
    const std::string name(length, 'x');
    const auto tensors = decode(text("{\"" + name + "\":{\"dtype\":\"float32\",\"shape\":[3],\"data\":[1,2,3]}}"));
    EXPECT_EQ(tensors, (std::vector<NamedTensor>{{name, kNumbers}}));
  }
}

TEST(TensorTask, PassesTensorsOn) {
  const auto tensors = decode(Input::tensors({{"x", kNumbers}}));
  ASSERT_EQ(tensors.size(), 1U);
  EXPECT_EQ(tensors[0].tensor.data(), kNumbers.data());
}

TEST(TensorTask, RefusesAnythingElse) {
  expect_error([] { (void)decode(text("")); }, ErrorCode::kInvalidInput, "input.bin: not tensors (it is empty)");
  expect_error([] { (void)decode(text("Once upon")); }, ErrorCode::kInvalidInput,
               "input.bin: not tensors (starts with \"Once\"); .npy, .safetensors or JSON is needed");
  expect_error([] { (void)decode(text("\x89PNG\r\n\x1a\n    ")); }, ErrorCode::kInvalidInput, "a picture with --image-size");
}

TEST(TensorTask, RefusesDamagedFiles) {
  std::vector<std::byte> npy = encode_npy(kNumbers);
  npy.resize(npy.size() - 1);
  expect_error([&] { (void)decode(Input::bytes(npy, "cut.npy")); }, ErrorCode::kInvalidInput, "cut.npy");
  std::vector<std::byte> tensors = encode_safetensors(std::vector<NamedTensor>{{"x", kNumbers}});
  tensors.resize(tensors.size() - 1);
  expect_error([&] { (void)decode(Input::bytes(tensors, "cut.safetensors")); }, ErrorCode::kInvalidInput, "cut.safetensors");
  expect_error([] { (void)decode(text("[1, 2")); }, ErrorCode::kInvalidInput, "input.bin");
}

TEST(TensorTask, AnswersWithTheOutputs) {
  const Answer answer = make_tensor_task()->answer({{"y", kNumbers}}, {});
  EXPECT_EQ(std::get<TensorAnswer>(answer.value).outputs, (std::vector<NamedTensor>{{"y", kNumbers}}));
}

}  // namespace
}  // namespace portfire
