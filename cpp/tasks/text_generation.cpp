#include "tasks/text_generation.h"

#include <utility>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {

TextGeneration::TextGeneration(const Manifest& manifest, const AssetReader& asset) : manifest_(manifest), text_(manifest, asset) {}

std::vector<NamedTensor> TextGeneration::decode(const Input& input) const { return {{"ids", text_.tokens(input)}}; }

std::vector<std::int64_t> TextGeneration::ids(const Input& input) const {
  const Tensor tokens = text_.tokens(input).contiguous();
  const auto values = tokens.values<std::int64_t>();
  const auto most = static_cast<std::int64_t>(*manifest_.method("forward")->inputs.front().maximum);
  for (const std::int64_t id : values) {
    if (id < 0 || id > most) throw Error(ErrorCode::kInvalidInput, cat(input.name(), ": token id ", id, "; ", manifest_.name, " takes 0 to ", most));
  }
  if (values.empty() || static_cast<std::int64_t>(values.size()) > manifest_.generation->context) {
    throw Error(ErrorCode::kInvalidInput, cat(input.name(), ": ", values.size(), " tokens; ", manifest_.name, " takes 1 to ", manifest_.generation->context));
  }
  return {values.begin(), values.end()};
}

Generator TextGeneration::start(const Engine& engine, const Input& prompt, const GenerateOptions& options) const {
  return {engine, manifest_, text_.tokenizer(), ids(prompt), options};
}

Answer TextGeneration::run(const Engine& engine, const Input& input, const RunOptions& options) const {
  Generator generator = start(engine, input, options.generate);
  while (generator.step()) {
  }
  return {generator.result()};
}

std::vector<NamedTensor> TextGeneration::trace(const Engine& engine, const Input& input) const {
  const std::vector<std::int64_t> tokens = ids(input);
  if (tokens.size() < 2) throw Error(ErrorCode::kInvalidPackage, cat(input.name(), ": one token; a golden text has two at least"));
  return {{"forward/logits", Generator::score(engine, manifest_, tokens)}};
}

Answer TextGeneration::answer(std::vector<NamedTensor>, const RunOptions&) const {
  throw Error(ErrorCode::kInternal, "text-generation has no last stage");
}

std::unique_ptr<Task> make_text_generation(const Manifest& manifest, const AssetReader& asset) {
  return std::make_unique<TextGeneration>(manifest, asset);
}

}  // namespace portfire
