#include "codecs/text/added_tokens.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "codecs/text/characters.h"
#include "codecs/text/utf8.h"

namespace portfire::text {

AddedTokens::AddedTokens(const JsonNode& node, const Normalizer& normalizer) {
  for (const JsonNode& row : node.elements()) {
    row.require({"id", "content"});
    const auto flag = [&](std::string_view key, bool otherwise) { return row.has(key) ? row.at(key).boolean() : otherwise; };
    const std::string content = row.at("content").string();
    const std::int64_t id = row.at("id").integer(0);
    const bool special = flag("special", false);
    const bool normalized = flag("normalized", !special);
    if (content.empty()) continue;
    vocabulary_[content] = id;
    if (special) special_.insert(id);
    AlignedText looked_for(content, 0);
    if (normalized && normalizer) normalizer(looked_for);
    if (looked_for.empty()) continue;
    (normalized ? normalized_ : raw_).rules[looked_for.bytes()] = {id, flag("single_word", false), flag("lstrip", false), flag("rstrip", false)};
  }
  compile(raw_);
  compile(normalized_);
}

void AddedTokens::compile(Group& group) {
  if (group.rules.empty()) return;
  std::vector<std::string_view> contents;
  for (const auto& [content, rule] : group.rules) contents.push_back(content);
  std::sort(contents.begin(), contents.end(), [](std::string_view a, std::string_view b) { return a.size() != b.size() ? a.size() > b.size() : a < b; });
  std::string expression;
  for (const std::string_view content : contents) {
    if (!expression.empty()) expression += '|';
    for (std::size_t at = 0; at < content.size();) {
      const CodePoint c = code_point_at(content, at);
      std::array<char, 16> escaped{};
      std::snprintf(escaped.data(), escaped.size(), "\\x{%x}", static_cast<unsigned>(c.value));
      expression += escaped.data();
      at += c.bytes;
    }
  }
  group.pattern = Pattern::regex(expression);
}

std::vector<AddedTokens::Found> AddedTokens::find(std::string_view text, bool normalized) const {
  const Group& group = normalized ? normalized_ : raw_;
  std::vector<Found> found;
  if (!group.pattern) return found;
  std::size_t from = 0;
  for (Range range : group.pattern->find_all(text)) {
    const Rule& rule = group.rules.find(text.substr(range.begin, range.end - range.begin))->second;
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
