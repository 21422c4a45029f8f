#include "tasks/text_generation.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"
#include "tasks/generation/generation_batch.h"
#include "tasks/generation/logits.h"

namespace portfire {
namespace {

constexpr std::string_view kChat = "assets/chat.json";

/// Of a text that ends here.
Outcome cancelled(Writing& writing) {
  writing.cancel();
  return Answer{writing.result()};
}

/// Throws what is no `Error`.
Outcome outcome_of(const GenerationBatch::Progress& progress) {
  try {
    if (progress.error) std::rethrow_exception(progress.error);
  } catch (const Error& error) {
    return error;
  }
  return Answer{progress.writing->result()};
}

}  // namespace

TextGeneration::TextGeneration(const Manifest& manifest, const AssetReader& asset) : manifest_(manifest), text_(manifest, asset) {
  const auto is_chat = [](const PackagedFile& file) { return file.path == kChat; };
  if (std::none_of(manifest.files.begin(), manifest.files.end(), is_chat)) return;
  const std::vector<std::byte> bytes = asset(std::string(kChat));
  chat_ = parse_chat({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, cat(manifest.name, ": ", kChat));
}

std::vector<NamedTensor> TextGeneration::decode(const Input& input) const { return {{"ids", text_.tokens(input)}}; }

std::vector<std::int64_t> TextGeneration::ids(const Input& input, std::int64_t context) const {
  const Tensor tokens = text_.tokens(input).contiguous();
  const auto values = tokens.values<std::int64_t>();
  const auto most = static_cast<std::int64_t>(*manifest_.method("forward")->inputs.front().maximum);
  for (const std::int64_t id : values) {
    if (id < 0 || id > most) throw Error(ErrorCode::kInvalidInput, cat(input.name(), ": token id ", id, "; ", manifest_.name, " takes 0 to ", most));
  }
  if (values.empty() || static_cast<std::int64_t>(values.size()) > context) {
    throw Error(ErrorCode::kInvalidInput, cat(input.name(), ": ", values.size(), " tokens; ", manifest_.name, " takes 1 to ", context));
  }
  return {values.begin(), values.end()};
}

std::unique_ptr<Writing> TextGeneration::start(const Input& prompt, const GenerateOptions& options, std::int64_t context, std::int64_t likeliest) const {
  const std::int64_t most = context > 0 ? context : manifest_.generation->context;
  Prompt made = prompt_for(manifest_, ids(prompt, most), options, most);
  made.likeliest = likeliest;
  return make_writing(std::move(made), text_.tokenizer());
}

Input TextGeneration::chat(std::span<const ChatMessage> messages, GenerateOptions& options) const {
  if (!chat_) throw Error(ErrorCode::kUnsupported, cat("the package of ", manifest_.name, " has no chat template; completions write on from a prompt"));
  for (const std::string& stop : chat_->stop) {
    if (const std::optional<std::int64_t> id = tokenizer().id(stop)) {
      options.stop_tokens.push_back(*id);
    } else {
      options.stop.push_back(stop);
    }
  }
  return Input::tensor(text_.tokens(chat_text(*chat_, messages)), "messages");
}

std::vector<std::string> TextGeneration::chat_roles() const {
  if (!chat_) return {};
  return chat_->system ? std::vector<std::string>{"system", "user", "assistant"} : std::vector<std::string>{"user", "assistant"};
}

/// For `count` prompts of so many rows each, or for fewer at once where there is no memory for all of them.
GenerationBatch TextGeneration::batch_for(const Engine& engine, std::int64_t count, std::int64_t each, std::int64_t length) const {
  for (std::int64_t rows = std::clamp(count * each, each, std::max(each, kMostTogether));; rows = std::max(each, rows / 2)) {
    try {
      return {engine, manifest_, rows, length};
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kResourceExhausted || rows == each) throw;
    }
  }
}

std::vector<Outcome> TextGeneration::run_each(const Engine& engine, std::span<const Input> inputs, const RunOptions& options) const {
  std::vector<std::optional<Outcome>> outcomes(inputs.size());
  std::deque<std::pair<std::size_t, std::shared_ptr<Writing>>> waiting;
  std::int64_t longest = 0;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    try {
      waiting.emplace_back(k, start(inputs[k], options.generate));
      longest = std::max(longest, waiting.back().second->prompt().length());
    } catch (const Error& error) {
      outcomes[k] = error;
    }
  }
  if (!waiting.empty()) {
    GenerationBatch batch = batch_for(engine, static_cast<std::int64_t>(waiting.size()), waiting.front().second->most_rows(), longest);
    std::map<std::shared_ptr<Writing>, std::size_t> numbers;
    while (!waiting.empty() || !batch.empty()) {
      if (options.cancelled && options.cancelled()) {
        for (const auto& [writing, number] : numbers) outcomes[number] = cancelled(*writing);
        for (const auto& [number, writing] : waiting) outcomes[number] = cancelled(*writing);
        break;
      }
      while (!waiting.empty() && batch.takes(*waiting.front().second)) {
        numbers[waiting.front().second] = waiting.front().first;
        batch.join(std::move(waiting.front().second));
        waiting.pop_front();
      }
      for (const GenerationBatch::Progress& progress : batch.step()) {
        if (!progress.ended) continue;
        outcomes[numbers.at(progress.writing)] = outcome_of(progress);
        numbers.erase(progress.writing);
      }
    }
  }
  std::vector<Outcome> all;
  all.reserve(outcomes.size());
  for (std::optional<Outcome>& outcome : outcomes) all.push_back(std::move(*outcome));
  return all;
}

std::vector<NamedTensor> TextGeneration::trace(const Engine& engine, const Input& input) const {
  const std::vector<std::int64_t> tokens = ids(input, manifest_.generation->context);
  if (tokens.size() < 2) throw Error(ErrorCode::kInvalidPackage, cat(input.name(), ": one token; a golden text has two at least"));
  return {{"forward/logits", score(engine, manifest_, tokens)}};
}

Answer TextGeneration::answer(std::vector<NamedTensor>, const RunOptions&) const {
  throw Error(ErrorCode::kInternal, "text-generation has no last stage");
}

std::unique_ptr<Task> make_text_generation(const Manifest& manifest, const AssetReader& asset) {
  return std::make_unique<TextGeneration>(manifest, asset);
}

}  // namespace portfire
