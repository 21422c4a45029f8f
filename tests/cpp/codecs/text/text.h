#pragma once

#include <gmock/gmock.h>

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>
#include <portfire/tokenizer.h>

#include "../helpers.h"
#include "archive/json_node.h"
#include "codecs/text/aligned_text.h"

namespace portfire::text {

/// Calls `read` with a part of a tokenizer.json.
template <typename Read>
auto with_part(const std::string& json, Read read) {
  const std::string name = "t.json";
  const nlohmann::json document = parse_strict_json(json, name);
  return read(JsonNode(document, name));
}

inline Tokenizer tokenizer(const std::string& json) { return Tokenizer::from_bytes(bytes_of(json), "t.json"); }

/// Of a tokenizer.json with that model, and whatever else its object has.
inline Tokenizer with_model(const std::string& model, const std::string& rest = "") {
  return tokenizer("{\"model\":" + model + rest + "}");
}

inline std::vector<std::int64_t> ids(const Tokenizer& tokenizer, std::string_view text, const EncodeOptions& options = {}) {
  return tokenizer.encode(text, options).ids;
}

inline std::string decoded(const Tokenizer& tokenizer, const std::vector<std::int64_t>& ids, bool skip_special_tokens = true) {
  return tokenizer.decode(ids, skip_special_tokens);
}

/// The bytes of a text that each range has.
inline std::vector<std::string> cut(std::string_view text, const std::vector<TextRange>& ranges) {
  std::vector<std::string> parts;
  for (const TextRange& range : ranges) parts.emplace_back(text.substr(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.end - range.begin)));
  return parts;
}

inline void PrintTo(const Range& range, std::ostream* out) { *out << range.begin << "-" << range.end; }

}  // namespace portfire::text

namespace portfire {

inline void PrintTo(const TextRange& range, std::ostream* out) { *out << range.begin << "-" << range.end; }

}  // namespace portfire
