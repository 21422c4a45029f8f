#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <portfire/generate.h>
#include <portfire/tokenizer.h>

#include "tasks/generation/stop_strings.h"

namespace portfire {

/// One text in the making: its tokens, what of them is certain text, and whether a stop string ended it. Copies go their
/// own ways. One thread at a time.
class WrittenText {
 public:
  /// `decoder` has seen the prompt: a token's text may depend on the one before it.
  WrittenText(DecodeStream decoder, std::vector<std::string> stops) : decoder_(std::move(decoder)), stops_(std::move(stops)) {}

  /// `is_stop`: the token ends the text and has no part in it.
  void push(std::int64_t id, float log_probability, bool is_stop);
  /// A stop string has been met.
  [[nodiscard]] bool stopped() const noexcept { return stops_.found(); }
  /// No more will come: what was held back is text now.
  void end(const std::string& reason);
  [[nodiscard]] bool ended() const noexcept { return !text_.finish_reason.empty(); }
  [[nodiscard]] const GeneratedText& text() const noexcept { return text_; }

 private:
  GeneratedText text_;
  DecodeStream decoder_;
  StopStrings stops_;
};

}  // namespace portfire
