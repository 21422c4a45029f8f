
#include <nlohmann/json.hpp>
#include <portfire/error.h>

#include "archive/json_node.h"
#include "codecs/text/tokenizer_core.h"
#include "codecs/text/utf8.h"
#include "core/text.h"

namespace portfire {
namespace {

[[noreturn]] void fail(const std::string& name, const std::string& problem) { throw Error(ErrorCode::kInvalidPackage, cat(name, ": ", problem)); }

/// Calls `take(line, number)` for each; numbers count from 1.
template <typename Take>
void each_line(std::string_view text, const std::string& name, Take take) {
  if (const std::size_t good = text::valid_prefix(text); good != text.size()) fail(name, cat("not UTF-8 at byte ", good));
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    take(line, number);
  }
}

nlohmann::json special(std::int64_t id, const std::string& content) {
  return {{"id", id}, {"content", content}, {"special", true}, {"normalized", false}};
}

}  // namespace

std::string json_of_bpe_files(std::string_view vocabulary, std::string_view merges, const std::string& name) {
  const nlohmann::json vocab = parse_strict_json(vocabulary, cat(name, "/vocab.json"));
  if (!vocab.is_object()) fail(cat(name, "/vocab.json"), "not an object of tokens and their ids");
  nlohmann::json pairs = nlohmann::json::array();
  each_line(merges, cat(name, "/merges.txt"), [&](std::string_view line, std::size_t number) {
    if (line.empty() || (number == 1 && line.starts_with("#version"))) return;
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) fail(cat(name, "/merges.txt"), cat("line ", number, " is ", quoted(line), "; two tokens are needed"));
    pairs.push_back({line.substr(0, space), line.substr(space + 1)});
  });
  const nlohmann::json bytes{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  nlohmann::json added = nlohmann::json::array();
  constexpr const char* kEnd = "<|endoftext|>";
  if (vocab.contains(kEnd) && vocab[kEnd].is_number_integer()) added.push_back(special(vocab[kEnd].get<std::int64_t>(), kEnd));
  return nlohmann::json{{"added_tokens", added}, {"pre_tokenizer", bytes}, {"decoder", bytes},
                        {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", pairs}}}}.dump();
}

std::string json_of_word_piece_file(std::string_view vocabulary, const std::string& name) {
  nlohmann::json vocab = nlohmann::json::object();
  each_line(vocabulary, name, [&](std::string_view line, std::size_t number) {
    if (!vocab.emplace(std::string(line), number - 1).second) fail(name, cat("line ", number, ": the token ", quoted(line), " is there twice"));
  });
  nlohmann::json added = nlohmann::json::array();
  for (const char* token : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    if (vocab.contains(token)) added.push_back(special(vocab[token].get<std::int64_t>(), token));
  }
  for (const char* token : {"[UNK]", "[CLS]", "[SEP]"}) {
    if (!vocab.contains(token)) fail(name, cat("the token ", token, " is missing"));
  }
  // BERT's files do not say whether letters were made lower case: a vocabulary of such has no capital in it.
  bool lower = true;
  for (const auto& [token, id] : vocab.items()) {
    if (token.starts_with('[')) continue;
    for (const char c : token) lower = lower && !(c >= 'A' && c <= 'Z');
  }
  return nlohmann::json{{"added_tokens", added},
                        {"normalizer", {{"type", "BertNormalizer"}, {"lowercase", lower}}},
                        {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
                        {"post_processor", {{"type", "BertProcessing"}, {"cls", {"[CLS]", vocab["[CLS]"]}}, {"sep", {"[SEP]", vocab["[SEP]"]}}}},
                        {"decoder", {{"type", "WordPiece"}}},
                        {"model", {{"type", "WordPiece"}, {"unk_token", "[UNK]"}, {"vocab", vocab}}}}.dump();
}

}  // namespace portfire
