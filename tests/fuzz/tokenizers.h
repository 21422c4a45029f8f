#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>
#include <portfire/tokenizer.h>

#include "codecs/text/byte_alphabet.h"
#include "fuzz.h"

namespace portfire {

/// A tokenizer of each kind, small; `name` is what a finding shows.
struct KnownTokenizer {
  std::string_view name;
  bool keeps_all = false;  ///< decode(encode(x)) is x
  Tokenizer tokenizer;
};

inline Tokenizer tokenizer_of(const nlohmann::json& json) {
  const std::string text = json.dump();
  return Tokenizer::from_bytes(std::as_bytes(std::span(text)));
}

inline nlohmann::json byte_level_bpe() {
  nlohmann::json vocabulary;
  for (int byte = 0; byte < 256; ++byte) vocabulary[text::spelling_of(std::string(1, static_cast<char>(byte)))] = byte;
  nlohmann::json merges = nlohmann::json::array();
  int next = 256;
  const auto merge = [&](const std::string& left, const std::string& right) {
    vocabulary[left + right] = next++;
    merges.push_back({left, right});
  };
  merge("t", "h");
  merge("\u0120", "th");
  merge("a", "a");
  merge("aa", "a");
  merge("aa", "aa");
  merge("\u00c3", "\u00a9");
  merge("\u0120", "\u0120");
  const nlohmann::json bytes{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  return {{"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}},
          {"added_tokens", nlohmann::json::array({{{"id", next}, {"content", "<|end|>"}, {"special", true}}})},
          {"pre_tokenizer", bytes},
          {"post_processor", bytes},
          {"decoder", bytes}};
}

inline nlohmann::json fallback_bpe() {
  nlohmann::json vocabulary{{"<unk>", 0}};
  int next = 1;
  for (int byte = 0; byte < 256; ++byte) {
    std::array<char, 8> name{};
    std::snprintf(name.data(), name.size(), "<0x%02X>", static_cast<unsigned>(byte));
    vocabulary[name.data()] = next++;
  }
  for (const char* token : {"\u2581", "a", "b", "\u2581a", "\u2581ab", "\u00e9"}) vocabulary[token] = next++;
  const nlohmann::json merges = nlohmann::json::array({"\u2581 a", "\u2581a b"});
  const auto replace = [](const char* from, const char* to) { return nlohmann::json{{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}}; };
  return {{"model", {{"type", "BPE"}, {"unk_token", "<unk>"}, {"byte_fallback", true}, {"fuse_unk", true}, {"vocab", vocabulary}, {"merges", merges}}},
          {"normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Prepend"}, {"prepend", "\u2581"}}, replace(" ", "\u2581")}}}},
          {"decoder",
           {{"type", "Sequence"},
            {"decoders", {replace("\u2581", " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}, {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}}};
}

inline nlohmann::json word_pieces() {
  return {{"model", {{"type", "WordPiece"}, {"vocab", {{"[UNK]", 0}, {"[CLS]", 1}, {"[SEP]", 2}, {"a", 3}, {"##a", 4}, {"##b", 5}, {",", 6}, {"'", 7}, {"s", 8}}}}},
          {"added_tokens", {{{"id", 1}, {"content", "[CLS]"}, {"special", true}}, {{"id", 2}, {"content", "[SEP]"}, {"special", true}, {"lstrip", true}}}},
          {"normalizer", {{"type", "BertNormalizer"}}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"post_processor", {{"type", "BertProcessing"}, {"cls", {"[CLS]", 1}}, {"sep", {"[SEP]", 2}}}},
          {"decoder", {{"type", "WordPiece"}}}};
}

inline nlohmann::json words() {
  return {{"model", {{"type", "WordLevel"}, {"unk_token", "<unk>"}, {"vocab", {{"<unk>", 0}, {"\u2581a", 1}, {"\u2581", 2}, {"\u2581b\u2581", 3}}}}},
          {"normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "NFKD"}}, {{"type", "StripAccents"}}, {{"type", "Lowercase"}}, {{"type", "NFKC"}}}}}},
          {"pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "first"}}},
          {"decoder", {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "first"}}}};
}

inline nlohmann::json split_words() {
  nlohmann::json bytes = byte_level_bpe();
  const nlohmann::json pattern{{"Regex", R"((?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}};
  const nlohmann::json split{{"type", "Split"}, {"pattern", pattern}, {"behavior", "Isolated"}};
  const nlohmann::json digits{{"type", "Digits"}, {"individual_digits", true}};
  const nlohmann::json level{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  bytes["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", {split, level, digits}}};
  bytes["model"]["ignore_merges"] = true;
  bytes.erase("post_processor");
  return bytes;
}

inline nlohmann::json suffixed_bpe() {
  return {{"model",
           {{"type", "BPE"}, {"end_of_word_suffix", "</w>"}, {"unk_token", "?"}, {"vocab", {{"?", 0}, {"a", 1}, {"a</w>", 2}, {"b", 3}, {"b</w>", 4}, {"ab</w>", 5}}},
            {"merges", nlohmann::json::array({"a b</w>"})}}},
          {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
          {"decoder", {{"type", "BPEDecoder"}, {"suffix", "</w>"}}}};
}

inline const std::vector<KnownTokenizer>& known_tokenizers() {
  static const std::vector<KnownTokenizer> all{{"bytes", true, tokenizer_of(byte_level_bpe())},   {"fallback", false, tokenizer_of(fallback_bpe())},
                                               {"pieces", false, tokenizer_of(word_pieces())},    {"words", false, tokenizer_of(words())},
                                               {"splits", true, tokenizer_of(split_words())},     {"suffixes", false, tokenizer_of(suffixed_bpe())}};
  return all;
}

/// The ids that bytes stand for, two at a time.
inline std::vector<std::int64_t> ids_of(const std::uint8_t* data, std::size_t size, std::int64_t vocabulary) {
  std::vector<std::int64_t> ids;
  for (std::size_t k = 0; k + 1 < size; k += 2) ids.push_back((data[k] | data[k + 1] << 8) % vocabulary);
  return ids;
}

/// The parts that a stream gives are the text that decoding gives, and none ends within a code point.
inline void require_stream(const Tokenizer& tokenizer, const std::vector<std::int64_t>& ids, bool skip_special_tokens) {
  DecodeStream stream(tokenizer, skip_special_tokens);
  std::string joined;
  for (const std::int64_t id : ids) {
    const std::string part = stream.push(id);
    require(!find_invalid_utf8(part));
    joined += part;
  }
  joined += stream.finish();
  require(joined == tokenizer.decode(ids, skip_special_tokens));
}

/// Ids and ranges that a text can have.
inline void require_sound(const Tokenizer& tokenizer, std::string_view text, const Encoding& encoding) {
  require(encoding.ids.size() == encoding.offsets.size());
  for (const std::int64_t id : encoding.ids) require(id >= 0 && id < tokenizer.vocabulary_size());
  const auto size = static_cast<std::int64_t>(text.size());
  const auto whole = [&](std::int64_t at) { return at == size || (static_cast<unsigned char>(text[static_cast<std::size_t>(at)]) & 0xC0U) != 0x80U; };
  for (const TextRange& range : encoding.offsets) {
    require(range.begin >= 0 && range.begin <= range.end && range.end <= size && whole(range.begin) && whole(range.end));
  }
}

}  // namespace portfire
