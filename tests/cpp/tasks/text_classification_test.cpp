#include "tasks/text_classification.h"

#include <string>
#include <string_view>

#include "../archive/expect_error.h"
#include "fake_engine.h"

namespace portfire {
namespace {

using test::expect_error;

constexpr std::string_view kLetters = R"({"model": {"type": "BPE", "unk_token": "?", "vocab": {"?": 0, "a": 1, "b": 2, "é": 3}, "merges": []}})";

std::vector<std::byte> letters(const std::string& path) {
  EXPECT_EQ(path, "assets/tokenizer.json");
  const auto bytes = std::as_bytes(std::span(kLetters));
  return {bytes.begin(), bytes.end()};
}

Manifest manifest_of(bool truncates = true, bool repairs = true) {
  Manifest manifest;
  manifest.name = "letters";
  manifest.task = "text-classification";
  manifest.labels = {"low", "high"};
  manifest.raw_input = {.kind = "text", .tokenizer = "assets/tokenizer.json", .max_bytes = 8, .max_tokens = 4, .truncates = truncates, .repairs = repairs};
  TensorSpec tokens;
  tokens.name = "tokens";
  tokens.dtype = DType::kInt64;
  tokens.shape = {{.size = -1, .symbol = "L"}};
  tokens.minimum = 0;
  tokens.maximum = 3;
  manifest.methods = {{.name = "preprocess", .inputs = {tokens}, .outputs = {tokens}}};
  return manifest;
}

std::vector<std::int64_t> ids(const Manifest& manifest, std::string_view text) {
  const Tensor tokens = make_text_classification(manifest, letters)->decode(Input::text(text)).at(0).tensor;
  return {tokens.values<std::int64_t>().begin(), tokens.values<std::int64_t>().end()};
}

using Ids = std::vector<std::int64_t>;

TEST(TextClassification, GivesTheTokensOfAText) {
  EXPECT_EQ(ids(manifest_of(), "bé!"), (Ids{2, 3, 0}));
  EXPECT_EQ(ids(manifest_of(), "!?."), (Ids{0, 0, 0})) << "a text of unknown tokens is a text";
}

TEST(TextClassification, TakesTheFirstOfTooManyTokensOrNone) {
  EXPECT_EQ(ids(manifest_of(), "abab"), (Ids{1, 2, 1, 2}));
  EXPECT_EQ(ids(manifest_of(), "ababab"), (Ids{1, 2, 1, 2}));
  EXPECT_EQ(ids(manifest_of(false), "abab"), (Ids{1, 2, 1, 2}));
  expect_error([] { ids(manifest_of(false), "ababa"); }, ErrorCode::kInvalidInput,
               "text: the text has more than 4 tokens, the most that letters takes");
}

TEST(TextClassification, ReplacesOrRefusesWhatIsNotUtf8) {
  EXPECT_EQ(ids(manifest_of(), "a\xFF" "b"), (Ids{1, 0, 2}));
  expect_error([] { ids(manifest_of(true, false), "a\xFF" "b"); }, ErrorCode::kInvalidInput, "text: not UTF-8 at byte 1");
}

TEST(TextClassification, RefusesWhatIsNoText) {
  expect_error([] { ids(manifest_of(), ""); }, ErrorCode::kInvalidInput, "text: the text is empty; letters takes at least one character");
  expect_error([] { ids(manifest_of(), "aaaaaaaaa"); }, ErrorCode::kInvalidInput, "text: a text of 9 bytes; letters takes at most 8");
  const auto task = make_text_classification(manifest_of(), letters);
  const auto decode = [&](const Tensor& tensor) { (void)task->decode(Input::tensor(tensor)); };
  expect_error([&] { decode(Tensor::zeros(DType::kFloat32, {2})); }, ErrorCode::kInvalidInput, "letters takes a text, or its token ids as one int64 [L]");
  expect_error([&] { decode(Tensor::copy_of(Ids{1, 4}, {2})); }, ErrorCode::kInvalidInput, "letters: preprocess: tokens: ");
  expect_error([&] { decode(Tensor::zeros(DType::kInt64, {0})); }, ErrorCode::kInvalidInput, "letters: preprocess: tokens: ");
}

TEST(TextClassification, TakesTokenIdsAsTheyAre) {
  const Tensor tokens = Tensor::copy_of(Ids{3, 0}, {2});
  EXPECT_EQ(make_text_classification(manifest_of(), letters)->decode(Input::tensor(tokens))[0].tensor.data(), tokens.data());
}

TEST(TextClassification, RefusesATokenizerOfAnotherModel) {
  Manifest manifest = manifest_of();
  manifest.methods[0].inputs[0].maximum = 2;
  expect_error([&] { (void)make_text_classification(manifest, letters); }, ErrorCode::kInvalidPackage,
               "letters: assets/tokenizer.json has token ids up to 3; preprocess takes at most 2: it is another model's tokenizer");
}

TEST(TextClassification, NamesATokenizerThatIsDamaged) {
  const AssetReader damaged = [](const std::string&) { return std::vector<std::byte>{std::byte{'{'}, std::byte{'"'}}; };
  expect_error([&] { (void)make_text_classification(manifest_of(), damaged); }, ErrorCode::kInvalidPackage,
               "letters: assets/tokenizer.json: not JSON");
}

TEST(TextClassification, AnswersWithItsLabels) {
  const Tensor probabilities = Tensor::copy_of(std::vector<float>{0.25F, 0.75F}, {2});
  const Answer answer = make_text_classification(manifest_of(), letters)->answer({{"probabilities", probabilities}}, {});
  EXPECT_EQ(std::get<Classification>(answer.value).label(), "high");
}

}  // namespace
}  // namespace portfire
