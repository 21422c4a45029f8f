#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "../fake_engine.h"
#include "tasks/generation/generator.h"
#include "tasks/generation/writing.h"

namespace portfire::test {

inline constexpr std::int64_t kVocabulary = 10;
inline constexpr std::string_view kDigits =
    R"({"model": {"type": "BPE", "vocab": {"0":0,"1":1,"2":2,"3":3,"4":4,"5":5,"6":6,"7":7,"8":8,"9":9}, "merges": []}, "decoder": {"type": "Fuse"}})";

inline Tokenizer digits() { return Tokenizer::from_bytes(std::as_bytes(std::span(kDigits)), "digits"); }

/// Says that the next digit is the sum of all digits so far, which it keeps in its state, modulo 10; each row by itself.
inline std::vector<NamedTensor> sums(std::span<const Tensor> inputs) {
  const auto ids = inputs[0].values<std::int64_t>();
  const auto select = inputs[2].values<std::int64_t>();
  const std::int64_t rows = inputs[0].shape()[0];
  const std::int64_t count = inputs[0].shape()[1];
  auto* state = const_cast<float*>(static_cast<const float*>(inputs[3].data()));
  std::vector<float> sum;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t k = 0; k < count; ++k) {
      state[row] += static_cast<float>(ids[static_cast<std::size_t>(row * count + k)]);
      sum.push_back(state[row]);
    }
  }
  Tensor logits = Tensor::zeros(DType::kFloat32, {static_cast<std::int64_t>(select.size()), kVocabulary});
  auto* target = static_cast<float*>(logits.mutable_data());
  for (std::size_t k = 0; k < select.size(); ++k) {
    target[k * kVocabulary + static_cast<std::size_t>(sum[static_cast<std::size_t>(select[k])]) % kVocabulary] = 1;
  }
  return {{"logits", logits}};
}

struct Sums {
  FakeEngine engine;
  Manifest manifest;
  Tokenizer tokenizer = digits();

  explicit Sums(std::int64_t context = 100, FakeEngine::Body forward = sums) : engine({{"forward", std::move(forward)}}) {
    manifest.name = "sums";
    manifest.generation = GenerationSpec{.context = context, .stop_tokens = {0}};
    const auto spec = [](const char* name, DType dtype, const std::vector<Dimension>& shape) {
      TensorSpec made;
      made.name = name;
      made.dtype = dtype;
      made.shape = shape;
      return made;
    };
    const Dimension n{.size = -1, .symbol = "N"};
    const Dimension s{.size = -1, .symbol = "S"};
    const Dimension r{.size = -1, .symbol = "R"};
    manifest.methods = {{.name = "forward",
                         .inputs = {spec("ids", DType::kInt64, {n, s}), spec("positions", DType::kInt64, {n, s}),
                                    spec("select", DType::kInt64, {r}), spec("sum", DType::kFloat32, {n})},
                         .outputs = {spec("logits", DType::kFloat32, {r, {.size = kVocabulary, .symbol = {}}})}}};
  }

  std::unique_ptr<Writing> writing(std::vector<std::int64_t> prompt, const GenerateOptions& options) const {
    return make_writing(prompt_for(manifest, std::move(prompt), options, manifest.generation->context), tokenizer);
  }
  Generator start(std::vector<std::int64_t> prompt, const GenerateOptions& options) const { return {engine, manifest, writing(std::move(prompt), options)}; }
  Generation write(std::vector<std::int64_t> prompt, const GenerateOptions& options) const {
    Generator generator = start(std::move(prompt), options);
    while (generator.step()) {
    }
    return generator.result();
  }
};

}  // namespace portfire::test
