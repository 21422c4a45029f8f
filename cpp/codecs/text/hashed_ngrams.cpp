#include <algorithm>
#include <vector>

#include "codecs/text/token_model.h"
#include "codecs/text/utf8.h"
#include "core/text.h"

namespace portfire::text {
namespace {

constexpr std::int64_t kMostBuckets = std::int64_t{1} << 24;
constexpr std::int64_t kLongest = 16;

/// FNV-1a, 32 bits (RFC 9923).
class Hash {
 public:
  void add(std::string_view bytes) {
    for (const char byte : bytes) value_ = (value_ ^ static_cast<unsigned char>(byte)) * 16777619U;
  }
  [[nodiscard]] std::uint32_t value() const { return value_; }

 private:
  std::uint32_t value_ = 2166136261U;
};

struct Lengths {
  std::size_t least = 0;
  std::size_t most = 0;
};

Lengths lengths(const JsonNode& node, std::string_view key) {
  if (!node.has(key) || node.at(key).is_null()) return {};
  const std::vector<JsonNode> pair = node.at(key).elements();
  if (pair.size() != 2) node.at(key).fail("two lengths are needed, the least and the most");
  const std::int64_t least = pair[0].integer(0);
  const std::int64_t most = pair[1].integer(least);
  if (most > kLongest) pair[1].fail(cat(most, " is too long; at most ", kLongest));
  return {static_cast<std::size_t>(least), static_cast<std::size_t>(most)};
}

/// The n-grams of words, and of the code points of each word, by their hashes: fastText's features (Joulin et al. 2016,
/// arXiv:1607.01759). Not a type of Hugging Face's.
class HashedNGrams final : public TokenModel {
 public:
  explicit HashedNGrams(const JsonNode& node) : words_(lengths(node, "words")), characters_(lengths(node, "characters")) {
    node.require({"buckets"});
    buckets_ = node.at("buckets").integer(1);
    if (buckets_ > kMostBuckets) node.at("buckets").fail(cat(buckets_, " is too many; at most ", kMostBuckets));
    if (words_.most == 0 && characters_.most == 0) node.fail("needs lengths of words or of characters");
  }

  void tokenize(std::string_view text, const std::vector<Range>& pieces, std::vector<Token>& tokens) const override {
    for (std::size_t n = std::max<std::size_t>(words_.least, 1); n <= words_.most; ++n) {
      for (std::size_t first = 0; first + n <= pieces.size(); ++first) words(text, pieces, first, n, tokens);
    }
    if (characters_.most == 0) return;
    std::string padded;
    std::vector<std::size_t> starts;
    for (const Range& piece : pieces) characters(text, piece, padded, starts, tokens);
  }

  const Vocabulary& vocabulary() const noexcept override { return none_; }
  std::int64_t size() const noexcept override { return buckets_; }

 private:
  std::int64_t bucket(const Hash& hash) const { return static_cast<std::int64_t>(hash.value()) % buckets_; }

  void words(std::string_view text, const std::vector<Range>& pieces, std::size_t first, std::size_t n, std::vector<Token>& tokens) const {
    Hash hash;
    for (std::size_t k = first; k < first + n; ++k) {
      if (k > first) hash.add(" ");
      hash.add(text.substr(pieces[k].begin, pieces[k].end - pieces[k].begin));
    }
    tokens.push_back({bucket(hash), {pieces[first].begin, pieces[first + n - 1].end}});
  }

  void characters(std::string_view text, Range piece, std::string& padded, std::vector<std::size_t>& starts, std::vector<Token>& tokens) const {
    padded.clear();
    padded += '<';
    padded += text.substr(piece.begin, piece.end - piece.begin);
    padded += '>';
    starts.clear();
    for (std::size_t at = 0; at < padded.size(); at += code_point_at(padded, at).bytes) starts.push_back(at);
    starts.push_back(padded.size());
    const auto in_text = [&](std::size_t at) { return piece.begin + std::min(at == 0 ? 0 : at - 1, piece.end - piece.begin); };
    for (std::size_t n = std::max<std::size_t>(characters_.least, 1); n <= characters_.most; ++n) {
      for (std::size_t first = 0; first + n < starts.size(); ++first) {
        Hash hash;
        hash.add("\x01");
        hash.add(std::string_view(padded).substr(starts[first], starts[first + n] - starts[first]));
        tokens.push_back({bucket(hash), {in_text(starts[first]), in_text(starts[first + n])}});
      }
    }
  }

  Lengths words_;
  Lengths characters_;
  std::int64_t buckets_ = 0;
  Vocabulary none_;
};

}  // namespace

std::unique_ptr<TokenModel> make_hashed_ngrams(const JsonNode& node) { return std::make_unique<HashedNGrams>(node); }

}  // namespace portfire::text
