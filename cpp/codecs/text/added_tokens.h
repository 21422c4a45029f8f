#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "archive/json_node.h"
#include "codecs/text/normalizers.h"
#include "codecs/text/pattern.h"
#include "codecs/text/token_model.h"

namespace portfire::text {

/// A set of texts, of which the longest that begins at a place is found.
class Trie {
 public:
  struct Match {
    std::size_t bytes = 0;
    std::size_t number = 0;
  };

  /// `text` is not empty; of two equal ones the later counts.
  void add(std::string_view text, std::size_t number);
  [[nodiscard]] std::optional<Match> longest_at(std::string_view text, std::size_t at) const;

 private:
  struct Node {
    bool ends = false;
    std::size_t number = 0;
  };
  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::array<std::uint32_t, 256> first_{};                ///< the root's children; 0: none
  std::unordered_map<std::uint64_t, std::uint32_t> next_;  ///< those of the others, by parent << 8 | byte
};

/// Tokens that are looked for in a text before anything else is done with it: `added_tokens` of a tokenizer.json.
/// Immutable and thread-safe.
class AddedTokens {
 public:
  struct Found {
    Range range;
    std::int64_t id = 0;
  };

  AddedTokens() = default;
  /// Throws kInvalidPackage.
  AddedTokens(const JsonNode& node, const Normalizer& normalizer);

  /// From the left, those that are looked for in the text as it is, or in the normalized one; special ones only where their
  /// range is not `is_plain`.
  [[nodiscard]] std::vector<Found> find(std::string_view text, bool normalized, const std::function<bool(Range)>& is_plain) const;
  [[nodiscard]] const Vocabulary& vocabulary() const noexcept { return vocabulary_; }
  [[nodiscard]] bool is_special(std::int64_t id) const { return special_.contains(id); }

 private:
  struct Rule {
    std::int64_t id = 0;
    bool single_word = false;
    bool left = false;   ///< takes the spaces before it
    bool right = false;  ///< takes the spaces after it
  };
  struct Group {
    Trie trie;
    std::vector<Rule> rules;
  };

  Group raw_;
  Group normalized_;
  Vocabulary vocabulary_;
  std::unordered_set<std::int64_t> special_;
};

}  // namespace portfire::text
