#include "codecs/text/token_model.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "codecs/text/normalizers.h"
#include "core/text.h"

namespace portfire::text {
namespace {

/// Files of before 2021 do not name it.
std::string type_of(const JsonNode& node) {
  node.require({});
  return node.has("type") ? node.at("type").string() : node.has("merges") ? "BPE" : "WordPiece";
}

}  // namespace

bool reads_bytes(const JsonNode& node) { return type_of(node) == "BPE" || type_of(node) == "HashedNGrams"; }

std::unique_ptr<TokenModel> make_token_model(const JsonNode& node, bool in_bytes) {
  const std::string type = type_of(node);
  if (type == "BPE") return make_bpe(node, in_bytes);
  if (type == "WordPiece") return make_word_piece(node);
  if (type == "WordLevel") return make_word_level(node);
  if (type == "HashedNGrams") return make_hashed_ngrams(node);
  fail_unknown(node, "model", type);
}

Vocabulary read_vocabulary(const JsonNode& node) {
  const nlohmann::json& json = node.value();
  if (!json.is_object()) node.fail("is not an object of tokens and their ids");
  Vocabulary vocabulary;
  vocabulary.reserve(json.size());
  for (const auto& [token, id] : json.items()) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= std::uint64_t{kMostTokens}) {
      node.fail(cat("the id of ", quoted(token), " is ", quoted(id.dump()), "; a whole number from 0 to ", kMostTokens - 1));
    }
    vocabulary.emplace(token, id.get<std::int64_t>());
  }
  return vocabulary;
}

std::int64_t size_of(const Vocabulary& vocabulary) {
  std::int64_t size = 0;
  for (const auto& [token, id] : vocabulary) size = std::max(size, id + 1);
  return size;
}

std::string optional_text(const JsonNode& node, std::string_view key, const std::string& otherwise) {
  return node.has(key) && !node.at(key).is_null() ? node.at(key).string() : otherwise;
}

}  // namespace portfire::text
