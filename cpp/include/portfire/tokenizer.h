#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <portfire/export.h>

/// Text to token ids and back: the same code that `Model::run` reads text with, so that training can use it too.
/// docs/tokenizers.md lists the files that are read and what of them is.
namespace portfire {

/// A part of a text, in bytes of its UTF-8: whole code points.
struct TextRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  bool operator==(const TextRange&) const = default;
};

/// A text as its tokens. Regular.
struct Encoding {
  std::vector<std::int64_t> ids;
  std::vector<TextRange> offsets;  ///< where each token comes from; empty ranges for those that were added
  bool operator==(const Encoding&) const = default;
};

struct EncodeOptions {
  bool add_special_tokens = true;  ///< those that the tokenizer's template puts around a text
  std::int64_t max_tokens = 0;     ///< with those; the first are kept. 0: no more than the tokenizer's own limit
  std::vector<TextRange> plain{};  ///< parts of the text, in order, in which what is spelled as a special token is text
};

class TokenizerCore;

/// A tokenizer. A handle: copies share one. Immutable and thread-safe.
class PORTFIRE_EXPORT Tokenizer {
 public:
  /// The bytes of a Hugging Face tokenizer.json or of a SentencePiece model, told by content; `name` is what errors
  /// call them. Throws kInvalidPackage when damaged, kUnsupported on parts that are not known here.
  static Tokenizer from_bytes(std::span<const std::byte> bytes, const std::string& name = "tokenizer");
  /// A file as above, or a folder with tokenizer.json, tokenizer.model, vocab.json and merges.txt (GPT-2), or vocab.txt
  /// (BERT), in this order. Throws kNotFound, kIo too.
  static Tokenizer load(const std::string& path);

  /// Throws kInvalidInput when `text` is not UTF-8, or has a word that the tokenizer has no token for.
  [[nodiscard]] Encoding encode(std::string_view text, const EncodeOptions& options = {}) const;
  /// The text of tokens, U+FFFD where they are no UTF-8. Throws kInvalidInput on an id that there is not.
  [[nodiscard]] std::string decode(std::span<const std::int64_t> ids, bool skip_special_tokens = true) const;

  /// One more than the greatest id that `encode` can give.
  [[nodiscard]] std::int64_t vocabulary_size() const noexcept;
  [[nodiscard]] std::optional<std::int64_t> id(std::string_view token) const;
  /// As spelled in the file. Throws kInvalidInput on an id that there is not.
  [[nodiscard]] std::string token(std::int64_t id) const;

 private:
  friend class DecodeStream;
  explicit Tokenizer(std::shared_ptr<const TokenizerCore> core) noexcept : core_(std::move(core)) {}
  std::shared_ptr<const TokenizerCore> core_;
};

/// The text of tokens that come one by one: never half a code point. One thread at a time.
class PORTFIRE_EXPORT DecodeStream {
 public:
  explicit DecodeStream(Tokenizer tokenizer, bool skip_special_tokens = true);

  /// What is certain of the text after one more token; empty while a code point is unfinished. The parts put together
  /// are what `decode` gives for all. Throws kInvalidInput on an id that there is not.
  [[nodiscard]] std::string push(std::int64_t id);
  /// The rest: U+FFFD for what stayed unfinished.
  [[nodiscard]] std::string finish();

 private:
  void shorten();

  Tokenizer tokenizer_;
  bool skip_special_tokens_;
  std::vector<std::int64_t> window_;  // the tokens that what comes next may depend on
  std::size_t given_ = 0;             // bytes of the window's text that were given
};

/// `bytes` with U+FFFD in the place of what is not UTF-8.
PORTFIRE_EXPORT std::string replace_invalid_utf8(std::string_view bytes);
/// The first byte that is not UTF-8; nothing where all is.
PORTFIRE_EXPORT std::optional<std::size_t> find_invalid_utf8(std::string_view bytes) noexcept;

}  // namespace portfire
