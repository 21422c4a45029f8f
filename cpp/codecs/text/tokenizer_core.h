#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <portfire/export.h>
#include <portfire/tokenizer.h>

namespace portfire {

/// What a Tokenizer stands for: one file format each. Immutable and thread-safe.
class TokenizerCore {
 public:
  virtual ~TokenizerCore() = default;
  TokenizerCore() = default;
  TokenizerCore(const TokenizerCore&) = delete;
  TokenizerCore& operator=(const TokenizerCore&) = delete;

  /// `text` is valid UTF-8 of less than 4 GiB.
  virtual Encoding encode(std::string_view text, const EncodeOptions& options) const = 0;
  /// The bytes that tokens stand for, which need not be UTF-8. Every id is one that there is.
  virtual std::string decode(std::span<const std::int64_t> ids, bool skip_special_tokens) const = 0;
  virtual std::int64_t size() const noexcept = 0;
  virtual std::optional<std::int64_t> id(std::string_view token) const = 0;
  /// Nothing where there is none: ids may have gaps.
  virtual std::optional<std::string> token(std::int64_t id) const = 0;
};

/// A Hugging Face tokenizer.json; `name` is what errors call it. Throws kInvalidPackage, kUnsupported.
std::shared_ptr<const TokenizerCore> read_tokenizer_json(std::string_view json, const std::string& name);
/// A SentencePiece model. Throws kInvalidPackage.
std::shared_ptr<const TokenizerCore> read_sentencepiece(std::span<const std::byte> bytes, const std::string& name);
/// The older files of GPT-2 (vocab.json, merges.txt) and BERT (vocab.txt) as a tokenizer.json. Throws kInvalidPackage.
std::string json_of_bpe_files(std::string_view vocabulary, std::string_view merges, const std::string& name);
std::string json_of_word_piece_file(std::string_view vocabulary, const std::string& name);

}  // namespace portfire
