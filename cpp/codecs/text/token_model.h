#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "archive/json_node.h"
#include "codecs/text/pattern.h"

namespace portfire::text {

/// Ids are below: what is made of a vocabulary is about as large as its file.
inline constexpr std::int64_t kMostTokens = std::int64_t{1} << 24;

/// One token, and the bytes of the text that it stands for.
struct Token {
  std::int64_t id = 0;
  Range range;
};

/// Looks up `std::string_view` without a copy.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
};
template <typename Value>
using TextMap = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;
using Vocabulary = TextMap<std::int64_t>;

/// Turns the pieces of a text into tokens: `model` of a tokenizer.json. Immutable and thread-safe.
class TokenModel {
 public:
  virtual ~TokenModel() = default;
  TokenModel() = default;
  TokenModel(const TokenModel&) = delete;
  TokenModel& operator=(const TokenModel&) = delete;

  /// Appends the tokens of all pieces of `text`, in order. Throws kInvalidInput.
  virtual void tokenize(std::string_view text, const std::vector<Range>& pieces, std::vector<Token>& tokens) const = 0;
  /// As spelled in the file; empty for a model whose ids are hashes.
  [[nodiscard]] virtual const Vocabulary& vocabulary() const noexcept = 0;
  /// One more than the greatest id.
  [[nodiscard]] virtual std::int64_t size() const noexcept = 0;
};

/// Whether the model can be one of bytes: make_token_model's `in_bytes`.
bool reads_bytes(const JsonNode& node);

/// `in_bytes`: the tokens are spelled in GPT-2's alphabet for bytes, and the pieces are the bytes themselves. Throws
/// kInvalidPackage, kUnsupported on a type that is not known here.
std::unique_ptr<TokenModel> make_token_model(const JsonNode& node, bool in_bytes);

// What make_token_model chooses from.
std::unique_ptr<TokenModel> make_bpe(const JsonNode& node, bool in_bytes);
std::unique_ptr<TokenModel> make_word_piece(const JsonNode& node);
std::unique_ptr<TokenModel> make_word_level(const JsonNode& node);
std::unique_ptr<TokenModel> make_hashed_ngrams(const JsonNode& node);

/// `vocab`: an object of tokens and their ids.
Vocabulary read_vocabulary(const JsonNode& node);
std::int64_t size_of(const Vocabulary& vocabulary);
/// A field that may be missing or null, as HF's `Option<String>`.
std::string optional_text(const JsonNode& node, std::string_view key, const std::string& otherwise = "");

}  // namespace portfire::text
