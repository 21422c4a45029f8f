#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "archive/json_node.h"
#include "codecs/text/normalizers.h"
#include "codecs/text/pattern.h"
#include "codecs/text/token_model.h"

namespace portfire::text {

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

  /// From the left, those that are looked for in the text as it is, or in the normalized one.
  [[nodiscard]] std::vector<Found> find(std::string_view text, bool normalized) const;
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
    std::optional<Pattern> pattern;  ///< all of them, the longest first
    TextMap<Rule> rules;
  };
  static void compile(Group& group);

  Group raw_;
  Group normalized_;
  Vocabulary vocabulary_;
  std::unordered_set<std::int64_t> special_;
};

}  // namespace portfire::text
