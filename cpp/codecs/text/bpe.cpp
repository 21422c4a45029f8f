#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <optional>
#include <queue>

#include <nlohmann/json.hpp>
#include <portfire/error.h>

#include "codecs/text/byte_alphabet.h"
#include "codecs/text/token_model.h"
#include "codecs/text/utf8.h"
#include "core/text.h"

namespace portfire::text {
namespace {

constexpr std::size_t kShort = 32;         // symbols; up to here the best merge is looked for, not kept in a heap
constexpr std::size_t kLongestCached = 64;  // bytes of a word whose tokens are remembered for the rest of a text

/// Byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909): the symbols of a piece are joined two by two, the pair
/// of the lowest rank first and of those the leftmost.
class Bpe final : public TokenModel {
 public:
  Bpe(const JsonNode& node, bool in_bytes) : in_bytes_(in_bytes) {
    node.require({"vocab", "merges"});
    vocabulary_ = read_vocabulary(node.at("vocab"));
    size_ = size_of(vocabulary_);
    const auto flag = [&](std::string_view key) { return node.has(key) && !node.at(key).is_null() && node.at(key).boolean(); };
    prefix_ = optional_text(node, "continuing_subword_prefix");
    suffix_ = optional_text(node, "end_of_word_suffix");
    fuse_unknown_ = flag("fuse_unk");
    byte_fallback_ = flag("byte_fallback");
    whole_first_ = flag("ignore_merges");
    const std::string unknown = optional_text(node, "unk_token");
    if (!unknown.empty()) unknown_ = id_of(node, unknown);
    if (in_bytes) {
      for (const auto& [token, id] : vocabulary_) {
        if (std::optional<std::string> bytes = bytes_spelled(token)) by_bytes_.emplace(std::move(*bytes), id);
      }
    }
    read_merges(node.at("merges"));
    if (prefix_.empty() && suffix_.empty()) fill_single_bytes();
    if (byte_fallback_) fill_fallback();
  }

  void tokenize(std::string_view text, const std::vector<Range>& pieces, std::vector<Token>& tokens) const override {
    Word word;
    std::unordered_map<std::string_view, std::pair<std::uint32_t, std::uint32_t>> seen;  // where its tokens are
    std::vector<Token> remembered;
    for (const Range& piece : pieces) {
      const std::string_view bytes = text.substr(piece.begin, piece.end - piece.begin);
      const bool caches = bytes.size() <= kLongestCached && pieces.size() > 1;
      if (caches) {
        const auto [known, added] = seen.try_emplace(bytes, 0U, 0U);
        if (added) {
          const auto first = static_cast<std::uint32_t>(remembered.size());
          encode(bytes, word, remembered);
          known->second = {first, static_cast<std::uint32_t>(remembered.size())};
        }
        for (std::uint32_t k = known->second.first; k < known->second.second; ++k) {
          const Token& token = remembered[k];
          tokens.push_back({token.id, {piece.begin + token.range.begin, piece.begin + token.range.end}});
        }
        continue;
      }
      const std::size_t first = tokens.size();
      encode(bytes, word, tokens);
      for (std::size_t k = first; k < tokens.size(); ++k) {
        tokens[k].range.begin += piece.begin;
        tokens[k].range.end += piece.begin;
      }
    }
  }

  const Vocabulary& vocabulary() const noexcept override { return vocabulary_; }
  std::int64_t size() const noexcept override { return size_; }

 private:
  static constexpr std::int32_t kNone = -1;
  static constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();

  struct Symbol {
    std::int64_t id = 0;
    std::uint32_t bytes = 0;  ///< 0: joined to the one before
    std::int32_t previous = kNone;
    std::int32_t next = kNone;
  };
  using Word = std::vector<Symbol>;

  struct Merge {
    std::uint32_t rank = kNoRank;
    std::int64_t id = 0;
  };
  struct Candidate {
    std::uint32_t rank;
    std::int32_t at;
    std::int64_t id;
    bool operator<(const Candidate& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
  };

  static std::uint64_t pair_of(std::int64_t left, std::int64_t right) {
    return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint64_t>(right);
  }
  struct PairHash {
    std::size_t operator()(std::uint64_t pair) const noexcept { return (pair * 0x9E3779B97F4A7C15U) >> 16; }
  };

  std::int64_t id_of(const JsonNode& node, const std::string& token) const {
    const auto found = vocabulary_.find(token);
    if (found == vocabulary_.end()) node.fail(cat("the token ", quoted(token), " is not in the vocabulary"));
    return found->second;
  }

  void read_merges(const JsonNode& node) {
    const nlohmann::json& json = node.value();
    if (!json.is_array()) node.fail("is not an array of pairs");
    merges_.reserve(json.size());
    std::uint32_t rank = 0;
    for (const nlohmann::json& row : json) {
      std::string left;
      std::string right;
      if (row.is_string()) {  // "a b", in files of before 2024
        const std::string& text = row.get_ref<const std::string&>();
        const std::size_t space = text.find(' ', 1);
        left = text.substr(0, space);
        if (space != std::string::npos) right = text.substr(space + 1);
      } else if (row.is_array() && row.size() == 2 && row[0].is_string() && row[1].is_string()) {
        left = row[0].get<std::string>();
        right = row[1].get<std::string>();
      }
      if (left.empty() || right.empty()) node.fail(cat("number ", rank, " is ", quoted(row.dump()), "; two tokens are needed"));
      if (!prefix_.empty() && !right.starts_with(prefix_)) node.fail(cat("number ", rank, ": ", quoted(right), " does not begin with ", quoted(prefix_)));
      const std::string joined = left + right.substr(prefix_.size());
      const std::int64_t left_id = id_of(node, left);  // in this order, so that an error names the first that is missing
      const std::int64_t right_id = id_of(node, right);
      merges_[pair_of(left_id, right_id)] = {rank++, id_of(node, joined)};
    }
  }

  void fill_single_bytes() {
    for (std::size_t byte = 0; byte < single_.size(); ++byte) {
      const std::string token(1, static_cast<char>(byte));
      single_[byte] = lookup(token).value_or(kNone);
    }
    if (!in_bytes_) std::fill(single_.begin() + 0x80, single_.end(), kNone);
  }

  void fill_fallback() {
    for (unsigned byte = 0; byte < fallback_.size(); ++byte) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", byte);
      const auto found = vocabulary_.find(std::string_view(name));
      fallback_[byte] = found == vocabulary_.end() ? kNone : found->second;
    }
  }

  std::optional<std::int64_t> lookup(std::string_view token) const {
    const Vocabulary& known = in_bytes_ ? by_bytes_ : vocabulary_;
    const auto found = known.find(token);
    return found == known.end() ? std::nullopt : std::optional(found->second);
  }

  static void add(Word& word, std::int64_t id, std::size_t bytes) {
    const auto at = static_cast<std::int32_t>(word.size());
    if (at > 0) word.back().next = at;
    word.push_back({id, static_cast<std::uint32_t>(bytes), at - 1, kNone});
  }

  std::optional<std::int64_t> symbol(std::string_view piece, std::size_t at, std::size_t bytes) const {
    if (bytes == 1 && prefix_.empty() && suffix_.empty()) {
      const std::int64_t id = single_[static_cast<unsigned char>(piece[at])];
      return id == kNone ? std::nullopt : std::optional(id);
    }
    const std::string_view part = piece.substr(at, bytes);
    if (prefix_.empty() && suffix_.empty()) return lookup(part);
    std::string token = at > 0 ? prefix_ : "";
    token += part;
    if (at + bytes == piece.size()) token += suffix_;
    return lookup(token);
  }

  /// The symbols before any is joined.
  void begin(std::string_view piece, Word& word) const {
    word.clear();
    std::size_t unknown_bytes = 0;  // that wait to become one unknown token
    const auto flush = [&] {
      if (unknown_bytes > 0) add(word, unknown_, unknown_bytes);
      unknown_bytes = 0;
    };
    for (std::size_t at = 0; at < piece.size();) {
      const std::size_t bytes = in_bytes_ ? 1 : code_point_at(piece, at).bytes;
      if (const std::optional<std::int64_t> id = symbol(piece, at, bytes)) {
        flush();
        add(word, *id, bytes);
      } else if (byte_fallback_ && has_bytes(piece.substr(at, bytes))) {
        for (std::size_t k = 0; k < bytes; ++k) add(word, fallback_[static_cast<unsigned char>(piece[at + k])], 1);
      } else if (unknown_ != kNone) {
        if (!fuse_unknown_) flush();
        unknown_bytes += bytes;
      }
      at += bytes;
    }
    flush();
  }

  bool has_bytes(std::string_view part) const {
    return std::all_of(part.begin(), part.end(), [&](char c) { return fallback_[static_cast<unsigned char>(c)] != kNone; });
  }

  Merge merge_of(std::int64_t left, std::int64_t right) const {
    const auto found = merges_.find(pair_of(left, right));
    return found == merges_.end() ? Merge{} : found->second;
  }

  void encode(std::string_view piece, Word& word, std::vector<Token>& tokens) const {
    if (whole_first_) {
      if (const std::optional<std::int64_t> id = lookup(piece)) {
        tokens.push_back({*id, {0, piece.size()}});
        return;
      }
    }
    if (piece.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
      throw Error(ErrorCode::kInvalidInput, cat("a text has ", human_bytes(static_cast<double>(piece.size())), " that are not split; less than 2 GiB can be joined"));
    }
    begin(piece, word);
    if (word.size() <= kShort) {
      join_short(word);
    } else {
      join_long(word);
    }
    std::size_t at = 0;
    for (const Symbol& one : word) {
      if (one.bytes == 0) continue;
      tokens.push_back({one.id, {at, at + one.bytes}});
      at += one.bytes;
    }
  }

  void join_short(Word& word) const {
    std::array<Merge, kShort> merge;  // of symbol k with the one after it
    std::size_t count = word.size();
    for (std::size_t k = 0; k + 1 < count; ++k) merge[k] = merge_of(word[k].id, word[k + 1].id);
    while (count > 1) {
      std::size_t best = 0;
      for (std::size_t k = 1; k + 1 < count; ++k) {
        if (merge[k].rank < merge[best].rank) best = k;
      }
      if (merge[best].rank == kNoRank) break;
      word[best].id = merge[best].id;
      word[best].bytes += word[best + 1].bytes;
      word.erase(word.begin() + static_cast<std::ptrdiff_t>(best) + 1);
      --count;
      for (std::size_t k = best + 1; k + 1 < count; ++k) merge[k] = merge[k + 1];
      if (best + 1 < count) merge[best] = merge_of(word[best].id, word[best + 1].id);
      if (best > 0) merge[best - 1] = merge_of(word[best - 1].id, word[best].id);
    }
  }

  void join_long(Word& word) const {
    std::priority_queue<Candidate> queue;
    const auto offer = [&](std::int32_t at) {
      if (at == kNone) return;
      const Symbol& left = word[static_cast<std::size_t>(at)];
      if (left.next == kNone) return;
      const Merge merge = merge_of(left.id, word[static_cast<std::size_t>(left.next)].id);
      if (merge.rank != kNoRank) queue.push({merge.rank, at, merge.id});
    };
    for (std::size_t k = 0; k + 1 < word.size(); ++k) offer(static_cast<std::int32_t>(k));
    while (!queue.empty()) {
      const Candidate best = queue.top();
      queue.pop();
      Symbol& left = word[static_cast<std::size_t>(best.at)];
      if (left.bytes == 0 || left.next == kNone) continue;
      Symbol& right = word[static_cast<std::size_t>(left.next)];
      const Merge merge = merge_of(left.id, right.id);
      if (merge.rank == kNoRank || merge.id != best.id) continue;  // one of the two has changed since
      left.id = best.id;
      left.bytes += right.bytes;
      right.bytes = 0;
      left.next = right.next;
      if (left.next != kNone) word[static_cast<std::size_t>(left.next)].previous = best.at;
      offer(left.previous);
      offer(best.at);
    }
  }

  bool in_bytes_;
  bool fuse_unknown_ = false;
  bool byte_fallback_ = false;
  bool whole_first_ = false;
  std::int64_t unknown_ = kNone;
  std::string prefix_;
  std::string suffix_;
  Vocabulary vocabulary_;
  Vocabulary by_bytes_;  ///< in_bytes_: without the spelling
  std::unordered_map<std::uint64_t, Merge, PairHash> merges_;
  std::array<std::int64_t, 256> single_{};
  std::array<std::int64_t, 256> fallback_{};
  std::int64_t size_ = 0;
};

}  // namespace

std::unique_ptr<TokenModel> make_bpe(const JsonNode& node, bool in_bytes) { return std::make_unique<Bpe>(node, in_bytes); }

}  // namespace portfire::text
