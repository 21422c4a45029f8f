#pragma once

#include <string>

#include <portfire/input.h>
#include <portfire/manifest.h>
#include <portfire/tokenizer.h>

#include "tasks/generation/chat.h"
#include "tasks/task.h"

namespace portfire {

/// A raw text to its token ids, as the manifest's `raw_input` says. Immutable and thread-safe.
class TextInput {
 public:
  /// Throws kInvalidPackage, kUnsupported where the packaged tokenizer cannot be used or does not match the manifest.
  TextInput(const Manifest& manifest, const AssetReader& asset);

  /// int64 [L], at least one. Throws kInvalidInput.
  [[nodiscard]] Tensor tokens(const Input& input) const;
  /// The same of a conversation: what is spelled as a special token is one in the template, and text in what was said.
  [[nodiscard]] Tensor tokens(const ChatText& chat) const;
  [[nodiscard]] const Tokenizer& tokenizer() const noexcept { return tokenizer_; }

 private:
  [[nodiscard]] std::string text(const Input& input) const;

  RawInput raw_;
  std::string name_;
  Tokenizer tokenizer_;
};

}  // namespace portfire
