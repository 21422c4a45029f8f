#include "tasks/text_input.h"

#include <cstddef>
#include <vector>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {
namespace {

[[noreturn]] void refuse(const Input& input, const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, cat(input.name(), ": ", problem));
}

Tokenizer packaged_tokenizer(const Manifest& manifest, const AssetReader& asset) {
  const std::string& path = manifest.raw_input.tokenizer;
  Tokenizer tokenizer = Tokenizer::from_bytes(asset(path), cat(manifest.name, ": ", path));
  const MethodSpec* first = manifest.method("preprocess");
  if (first == nullptr) first = manifest.method("forward");
  const double most = *first->inputs.front().maximum;
  if (static_cast<double>(tokenizer.vocabulary_size() - 1) > most) {
    throw Error(ErrorCode::kInvalidPackage, cat(manifest.name, ": ", path, " has token ids up to ", tokenizer.vocabulary_size() - 1,
                                                "; ", first->name, " takes at most ", most, ": it is another model's tokenizer"));
  }
  return tokenizer;
}

}  // namespace

TextInput::TextInput(const Manifest& manifest, const AssetReader& asset)
    : raw_(manifest.raw_input), name_(manifest.name), tokenizer_(packaged_tokenizer(manifest, asset)) {}

std::string TextInput::text(const Input& input) const {
  const std::vector<std::byte> bytes = input.read();
  if (bytes.size() > static_cast<std::size_t>(raw_.max_bytes)) {
    refuse(input, cat("a text of ", bytes.size(), " bytes; ", name_, " takes at most ", raw_.max_bytes));
  }
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const auto at = find_invalid_utf8(text)) {
    if (!raw_.repairs) refuse(input, cat("not UTF-8 at byte ", *at, "; ", name_, " takes text in UTF-8"));
    text = replace_invalid_utf8(text);
  }
  if (text.empty()) refuse(input, cat("the text is empty; ", name_, " takes at least one character"));
  return text;
}

Tensor TextInput::tokens(const Input& input) const {
  if (input.kind() == Input::Kind::kTensors) {
    const auto& tensors = input.tensors();
    if (tensors.size() != 1 || tensors[0].tensor.dtype() != DType::kInt64 || tensors[0].tensor.rank() != 1) {
      refuse(input, cat(tensors.empty() ? "nothing" : tensors[0].tensor.to_string(0), "; ", name_, " takes a text, or its token ids as one int64 [L]"));
    }
    return tensors[0].tensor;
  }
  // One more than are taken shows that there are more.
  const EncodeOptions options{.max_tokens = raw_.truncates ? raw_.max_tokens : raw_.max_tokens + 1};
  const Encoding encoding = tokenizer_.encode(text(input), options);
  const auto count = static_cast<std::int64_t>(encoding.ids.size());
  if (count == 0) refuse(input, cat("the text has no token; ", name_, " takes at least one"));
  if (count > raw_.max_tokens) refuse(input, cat("the text has more than ", raw_.max_tokens, " tokens, the most that ", name_, " takes"));
  return Tensor::copy_of(encoding.ids, {count});
}

Tensor TextInput::tokens(const ChatText& chat) const {
  if (chat.text.size() > static_cast<std::size_t>(raw_.max_bytes)) {
    throw Error(ErrorCode::kInvalidInput, cat("messages: a conversation of ", chat.text.size(), " bytes; ", name_, " takes at most ", raw_.max_bytes));
  }
  const Encoding encoding = tokenizer_.encode(chat.text, {.add_special_tokens = false, .max_tokens = raw_.max_tokens + 1, .plain = chat.contents});
  const auto count = static_cast<std::int64_t>(encoding.ids.size());
  if (count == 0) throw Error(ErrorCode::kInvalidInput, cat("messages: the conversation has no token; ", name_, " takes at least one"));
  if (count > raw_.max_tokens) throw Error(ErrorCode::kInvalidInput, cat("messages: the conversation has more than ", raw_.max_tokens, " tokens, the most that ", name_, " takes"));
  return Tensor::copy_of(encoding.ids, {count});
}

}  // namespace portfire
