#include "codecs/text/added_tokens.h"

#include <algorithm>

#include "codecs/text/characters.h"
#include "codecs/text/utf8.h"
#include "core/text.h"

namespace portfire::text {

void Trie::add(std::string_view text, std::size_t number) {
  std::uint32_t node = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    std::uint32_t& child = node == 0 ? first_[byte] : next_[std::uint64_t{node} << 8 | byte];
    if (child == 0) {
      child = static_cast<std::uint32_t>(nodes_.size());
      nodes_.emplace_back();
    }
    node = child;
  }
  nodes_[node] = {true, number};
}

std::optional<Trie::Match> Trie::longest_at(std::string_view text, std::size_t at) const {
  std::optional<Match> longest;
  std::uint32_t node = first_[static_cast<unsigned char>(text[at])];
  for (std::size_t end = at + 1; node != 0; ++end) {
    if (nodes_[node].ends) longest = {end - at, nodes_[node].number};
    if (end == text.size()) break;
    const auto child = next_.find(std::uint64_t{node} << 8 | static_cast<unsigned char>(text[end]));
    node = child == next_.end() ? 0 : child->second;
  }
  return longest;
}

AddedTokens::AddedTokens(const JsonNode& node, const Normalizer& normalizer) {
  for (const JsonNode& row : node.elements()) {
    row.require({"id", "content"});
    const auto flag = [&](std::string_view key, bool otherwise) { return row.has(key) ? row.at(key).boolean() : otherwise; };
    const std::string content = row.at("content").string();
    const std::int64_t id = row.at("id").integer(0);
    if (id >= kMostTokens) row.at("id").fail(cat(id, " is too great; at most ", kMostTokens - 1));
    const bool special = flag("special", false);
    const bool normalized = flag("normalized", !special);
    if (content.empty()) continue;
    vocabulary_[content] = id;
    if (special) special_.insert(id);
    AlignedText looked_for(content, 0);
    if (normalized && normalizer) normalizer(looked_for);
    if (looked_for.empty()) continue;
    Group& group = normalized ? normalized_ : raw_;
    group.trie.add(looked_for.bytes(), group.rules.size());
    group.rules.push_back({id, flag("single_word", false), flag("lstrip", false), flag("rstrip", false)});
  }
}

std::vector<AddedTokens::Found> AddedTokens::find(std::string_view text, bool normalized, const std::function<bool(Range)>& is_plain) const {
  const Group& group = normalized ? normalized_ : raw_;
  std::vector<Found> found;
  if (group.rules.empty()) return found;
  std::size_t from = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::optional<Trie::Match> match = group.trie.longest_at(text, at);
    if (!match) {
      ++at;
      continue;
    }
    Range range{at, at + match->bytes};
    const Rule& rule = group.rules[match->number];
    if (is_special(rule.id) && is_plain(range)) {
      ++at;
      continue;
    }
    at = range.end;
    if (rule.single_word) {
      const bool joined_before = range.begin > 0 && is_word(code_point_before(text, range.begin).value);
      const bool joined_after = range.end < text.size() && is_word(code_point_at(text, range.end).value);
      if (joined_before || joined_after) continue;
    }
    while (rule.left && range.begin > from) {
      const CodePoint c = code_point_before(text, range.begin);
      if (!is_whitespace(c.value)) break;
      range.begin -= c.bytes;
    }
    while (rule.right && range.end < text.size()) {
      const CodePoint c = code_point_at(text, range.end);
      if (!is_whitespace(c.value)) break;
      range.end += c.bytes;
    }
    range.begin = std::max(range.begin, from);
    if (range.begin >= range.end) continue;
    found.push_back({range, rule.id});
    from = range.end;
  }
  return found;
}

}  // namespace portfire::text
