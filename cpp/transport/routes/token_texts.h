#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include <portfire/tokenizer.h>

#include "serving/text_worker.h"

namespace portfire::routes {

/// A token as a part of a text.
struct TokenText {
  struct Likely {
    std::string text;
    float log_probability = 0;
    bool is_spelled = false;  ///< it has no text by itself: a special token, or a part of a character
  };
  std::string text;        ///< what it adds to the text; nothing where it only begins a character
  std::size_t offset = 0;  ///< in code points, from the text's beginning
  float log_probability = 0;
  std::vector<Likely> likeliest{};
};

/// The tokens of one text that comes part by part, each with what it adds: together they are the text. One thread at a time.
class TokenTexts {
 public:
  /// A token's text may depend on the prompt.
  TokenTexts(const Tokenizer& tokenizer, std::span<const std::int64_t> prompt);

  void add(const WrittenToken& token);
  /// Those that begin within the text as far as it is given, once it has `bytes` more; each is told once. What ended a text has no
  /// part in it, and is not among them.
  std::vector<TokenText> take(std::size_t bytes);

 private:
  struct Waiting {
    TokenText token;
    std::size_t begin = 0;  ///< bytes from the text's beginning
  };

  Tokenizer tokenizer_;
  DecodeStream decoder_;
  std::deque<Waiting> waiting_;
  std::size_t bytes_ = 0;        ///< of all tokens
  std::size_t code_points_ = 0;
  std::size_t given_ = 0;  ///< bytes of the text
};

}  // namespace portfire::routes
