#include "codecs/text/decoders.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include <portfire/error.h>

#include "codecs/text/byte_alphabet.h"
#include "codecs/text/normalizers.h"
#include "codecs/text/token_model.h"
#include "codecs/text/utf8.h"
#include "core/text.h"

namespace portfire::text {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty() || text.find(from) == std::string::npos) return;
  std::string changed;
  std::size_t at = 0;
  for (std::size_t found = 0; (found = text.find(from, at)) != std::string::npos; at = found + from.size()) {
    changed += std::string_view(text).substr(at, found - at);
    changed += to;
  }
  changed += std::string_view(text).substr(at);
  text = std::move(changed);
}

std::size_t size_of(const std::vector<std::string>& tokens) {
  std::size_t size = 0;
  for (const std::string& token : tokens) size += token.size();
  return size;
}

void check_growth(std::size_t after, std::size_t before) {
  if (after <= 64 * before + 64 * 1024) return;
  throw Error(ErrorCode::kResourceExhausted, cat("the tokenizer makes more than ", human_bytes(static_cast<double>(after)), " of tokens of ", before, " bytes"));
}

void from_byte_alphabet(std::vector<std::string>& tokens) {
  for (std::string& token : tokens) {
    if (std::optional<std::string> bytes = bytes_spelled(token)) token = std::move(*bytes);
  }
}

/// "<0x0A>" to its byte.
void from_byte_names(std::vector<std::string>& tokens) {
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
  for (std::string& token : tokens) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') continue;
    const int high = digit(token[3]);
    const int low = digit(token[4]);
    if (high >= 0 && low >= 0) token = std::string(1, static_cast<char>(high * 16 + low));
  }
}

Decoder word_piece(const JsonNode& node) {
  const std::string prefix = optional_text(node, "prefix", "##");
  const bool cleans = !node.has("cleanup") || node.at("cleanup").boolean();
  return [prefix, cleans](std::vector<std::string>& tokens) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kClean{
        {{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}}};
    for (std::size_t k = 0; k < tokens.size(); ++k) {
      std::string& token = tokens[k];
      if (k > 0) {
        if (token.starts_with(prefix)) {
          token.erase(0, prefix.size());
        } else {
          token.insert(token.begin(), ' ');
        }
      }
      if (!cleans) continue;
      for (const auto& [from, to] : kClean) replace_all(token, from, to);
    }
  };
}

Decoder metaspace(const JsonNode& node) {
  node.require({"replacement"});
  const std::string scheme = optional_text(node, "prepend_scheme", "always");
  return [mark = node.at("replacement").string(), drops = scheme != "never"](std::vector<std::string>& tokens) {
    for (std::size_t k = 0; k < tokens.size(); ++k) {
      replace_all(tokens[k], mark, k == 0 && drops ? "" : " ");
    }
  };
}

Decoder bpe(const JsonNode& node) {
  return [suffix = optional_text(node, "suffix", "</w>")](std::vector<std::string>& tokens) {
    for (std::size_t k = 0; k < tokens.size(); ++k) replace_all(tokens[k], suffix, k + 1 == tokens.size() ? "" : " ");
  };
}

Decoder strip(const JsonNode& node) {
  node.require({"content", "start", "stop"});
  const auto start = static_cast<std::size_t>(node.at("start").integer(0));
  const auto stop = static_cast<std::size_t>(node.at("stop").integer(0));
  return [content = node.at("content").string(), start, stop](std::vector<std::string>& tokens) {
    if (content.empty()) return;
    for (std::string& token : tokens) {
      for (std::size_t k = 0; k < start && token.starts_with(content); ++k) token.erase(0, content.size());
      for (std::size_t k = 0; k < stop && token.ends_with(content); ++k) token.erase(token.size() - content.size());
    }
  };
}

Decoder replace(const JsonNode& node) {
  node.require({"pattern", "content"});
  return [pattern = make_pattern(node.at("pattern")), content = node.at("content").string()](std::vector<std::string>& tokens) {
    for (std::string& token : tokens) {
      std::string changed;
      for (std::string_view rest = token; !rest.empty();) {
        const std::string_view valid = rest.substr(0, valid_prefix(rest));
        std::size_t at = 0;
        for (const Range& match : pattern.find_all(valid)) {
          changed += valid.substr(at, match.begin - at);
          changed += content;
          at = match.end;
          check_growth(changed.size(), token.size());
        }
        changed += valid.substr(at);
        rest.remove_prefix(valid.size());
        if (rest.empty()) break;
        changed += rest.front();  // no part of a code point that is whole
        rest.remove_prefix(1);
      }
      token = std::move(changed);
    }
  };
}

Decoder sequence(const JsonNode& node) {
  node.require({"decoders"});
  std::vector<Decoder> steps;
  for (const JsonNode& step : node.at("decoders").elements()) steps.push_back(make_decoder(step));
  return [steps](std::vector<std::string>& tokens) {
    const std::size_t before = size_of(tokens);
    for (const Decoder& step : steps) {
      step(tokens);
      check_growth(size_of(tokens), before);
    }
  };
}

void fuse(std::vector<std::string>& tokens) {
  std::string all;
  for (const std::string& token : tokens) all += token;
  tokens.assign(1, std::move(all));
}

}  // namespace

Decoder make_decoder(const JsonNode& node) {
  node.require({"type"});
  const std::string type = node.at("type").string();
  if (type == "Sequence") return sequence(node);
  if (type == "ByteLevel") return from_byte_alphabet;
  if (type == "ByteFallback") return from_byte_names;
  if (type == "WordPiece") return word_piece(node);
  if (type == "Metaspace") return metaspace(node);
  if (type == "BPEDecoder") return bpe(node);
  if (type == "Fuse") return fuse;
  if (type == "Strip") return strip(node);
  if (type == "Replace") return replace(node);
  fail_unknown(node, "decoder", type);
}

}  // namespace portfire::text
