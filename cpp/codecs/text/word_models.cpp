#include <algorithm>
#include <optional>

#include <portfire/error.h>

#include "codecs/text/token_model.h"
#include "codecs/text/utf8.h"
#include "core/text.h"

namespace portfire::text {
namespace {

std::optional<std::int64_t> find(const Vocabulary& vocabulary, std::string_view token) {
  const auto found = vocabulary.find(token);
  return found == vocabulary.end() ? std::nullopt : std::optional(found->second);
}

/// What both have: a vocabulary, and a token for what is not in it.
class WordModel : public TokenModel {
 public:
  explicit WordModel(const JsonNode& node, const std::string& unknown) {
    node.require({"vocab"});
    vocabulary_ = read_vocabulary(node.at("vocab"));
    size_ = size_of(vocabulary_);
    unknown_name_ = optional_text(node, "unk_token", unknown);
    unknown_ = find(vocabulary_, unknown_name_);
  }

  const Vocabulary& vocabulary() const noexcept final { return vocabulary_; }
  std::int64_t size() const noexcept final { return size_; }

 protected:
  std::int64_t unknown(std::string_view word) const {
    if (unknown_) return *unknown_;
    throw Error(ErrorCode::kInvalidInput, cat("the word ", quoted(word), " is not in the vocabulary, which has no token ",
                                              quoted(unknown_name_), " for unknown ones"));
  }

  Vocabulary vocabulary_;

 private:
  std::int64_t size_ = 0;
  std::string unknown_name_;
  std::optional<std::int64_t> unknown_;
};

/// A token for each piece.
class WordLevel final : public WordModel {
 public:
  explicit WordLevel(const JsonNode& node) : WordModel(node, "<unk>") {}

  void tokenize(std::string_view text, const std::vector<Range>& pieces, std::vector<Token>& tokens) const override {
    for (const Range& piece : pieces) {
      const std::string_view word = text.substr(piece.begin, piece.end - piece.begin);
      const std::optional<std::int64_t> id = find(vocabulary_, word);
      tokens.push_back({id ? *id : unknown(word), piece});
    }
  }
};

/// The longest token that begins a piece, then the longest that goes on with it (Devlin et al. 2018, arXiv:1810.04805).
class WordPiece final : public WordModel {
 public:
  explicit WordPiece(const JsonNode& node)
      : WordModel(node, "[UNK]"), prefix_(optional_text(node, "continuing_subword_prefix", "##")) {
    if (node.has("max_input_chars_per_word")) longest_ = static_cast<std::size_t>(node.at("max_input_chars_per_word").integer(0));
    for (const auto& [token, id] : vocabulary_) longest_token_ = std::max(longest_token_, token.size());
  }

  void tokenize(std::string_view text, const std::vector<Range>& pieces, std::vector<Token>& tokens) const override {
    std::string part;
    for (const Range& piece : pieces) {
      const std::string_view word = text.substr(piece.begin, piece.end - piece.begin);
      const std::size_t first = tokens.size();
      if (count_code_points(word) > longest_ || !split(word, piece.begin, tokens, part)) {
        tokens.resize(first);
        tokens.push_back({unknown(word), piece});
      }
    }
  }

 private:
  bool split(std::string_view word, std::size_t base, std::vector<Token>& tokens, std::string& part) const {
    for (std::size_t begin = 0; begin < word.size();) {
      std::size_t end = std::min(word.size(), begin + longest_token_);
      while (end < word.size() && end > begin && is_continuation(word[end])) --end;
      std::optional<std::int64_t> id;
      while (begin < end) {
        part.assign(begin > 0 ? prefix_ : "");
        part += word.substr(begin, end - begin);
        if ((id = find(vocabulary_, part))) break;
        end -= code_point_before(word, end).bytes;
      }
      if (!id) return false;
      tokens.push_back({*id, {base + begin, base + end}});
      begin = end;
    }
    return true;
  }

  std::string prefix_;
  std::size_t longest_ = 100;      ///< code points of a word that is split
  std::size_t longest_token_ = 0;  ///< bytes
};

}  // namespace

std::unique_ptr<TokenModel> make_word_level(const JsonNode& node) { return std::make_unique<WordLevel>(node); }
std::unique_ptr<TokenModel> make_word_piece(const JsonNode& node) { return std::make_unique<WordPiece>(node); }

}  // namespace portfire::text
