#include <portfire/tokenizer.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <utility>

#include <portfire/error.h>

#include "codecs/text/tokenizer_core.h"
#include "codecs/text/utf8.h"
#include "core/file.h"
#include "core/text.h"

namespace portfire {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostBytes = std::size_t{256} << 20;

std::string_view text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string read_text(const fs::path& path) {
  const std::vector<std::byte> bytes = read_file(path.string(), kMostBytes);
  return std::string(text_of(bytes));
}

void check_ids(const TokenizerCore& core, std::span<const std::int64_t> ids) {
  for (const std::int64_t id : ids) {
    if (id < 0 || id >= core.size()) throw Error(ErrorCode::kInvalidInput, cat("token id ", id, "; from 0 to ", core.size() - 1, " there are"));
  }
}

}  // namespace

Tokenizer Tokenizer::from_bytes(std::span<const std::byte> bytes, const std::string& name) {
  if (bytes.empty()) throw Error(ErrorCode::kInvalidPackage, cat(name, ": is empty; a tokenizer.json or a SentencePiece model is needed"));
  const std::string_view text = text_of(bytes);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '{') return Tokenizer(read_tokenizer_json(text, name));
  return Tokenizer(read_sentencepiece(bytes, name));
}

Tokenizer Tokenizer::load(const std::string& path) {
  const fs::path place(path);
  std::error_code ignored;
  if (!fs::is_directory(place, ignored)) {
    if (place.filename() == "vocab.txt") return Tokenizer(read_tokenizer_json(json_of_word_piece_file(read_text(place), path), path));
    return from_bytes(read_file(path, kMostBytes), path);
  }
  const auto has = [&](const char* name) { return fs::is_regular_file(place / name, ignored); };
  for (const char* name : {"tokenizer.json", "tokenizer.model"}) {
    if (has(name)) return from_bytes(read_file((place / name).string(), kMostBytes), (place / name).string());
  }
  if (has("vocab.json") && has("merges.txt")) {
    return Tokenizer(read_tokenizer_json(json_of_bpe_files(read_text(place / "vocab.json"), read_text(place / "merges.txt"), path), path));
  }
  if (has("vocab.txt")) return load((place / "vocab.txt").string());
  throw Error(ErrorCode::kNotFound, cat(path, ": holds no tokenizer.json, tokenizer.model, vocab.json with merges.txt, or vocab.txt"));
}

Encoding Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  if (text.size() > std::numeric_limits<std::uint32_t>::max()) {
    throw Error(ErrorCode::kInvalidInput, cat("a text of ", human_bytes(static_cast<double>(text.size())), "; less than 4 GiB can be encoded"));
  }
  if (const auto at = find_invalid_utf8(text)) throw Error(ErrorCode::kInvalidInput, cat("the text is not UTF-8 at byte ", *at));
  return core_->encode(text, options);
}

std::string Tokenizer::decode(std::span<const std::int64_t> ids, bool skip_special_tokens) const {
  check_ids(*core_, ids);
  return text::repaired(core_->decode(ids, skip_special_tokens));
}

std::int64_t Tokenizer::vocabulary_size() const noexcept { return core_->size(); }

std::optional<std::int64_t> Tokenizer::id(std::string_view token) const { return core_->id(token); }

std::string Tokenizer::token(std::int64_t id) const {
  check_ids(*core_, {&id, 1});
  return core_->token(id).value_or("");
}

DecodeStream::DecodeStream(Tokenizer tokenizer, bool skip_special_tokens)
    : tokenizer_(std::move(tokenizer)), skip_special_tokens_(skip_special_tokens) {}

std::string DecodeStream::push(std::int64_t id) {
  check_ids(*tokenizer_.core_, {&id, 1});
  window_.push_back(id);
  const std::string text = tokenizer_.core_->decode(window_, skip_special_tokens_);
  const std::size_t certain = text.size() - text::unfinished_tail(text);
  if (certain <= given_) return "";
  std::string part = text::repaired(std::string_view(text).substr(given_, certain - given_));
  given_ = certain;
  if (certain == text.size()) shorten();
  return part;
}

/// What comes next may depend on whether it is first, and on the last token. So the last ones are kept that have a text
/// of their own: what a decoder takes off the start of a text has then been taken.
void DecodeStream::shorten() {
  for (auto first = window_.end() - 1; first != window_.begin(); --first) {
    const std::vector<std::int64_t> last(first, window_.end());
    const std::size_t size = tokenizer_.core_->decode(last, skip_special_tokens_).size();
    if (size == 0) continue;
    window_ = last;
    given_ = size;
    return;
  }
}

std::string DecodeStream::finish() {
  const std::string text = tokenizer_.core_->decode(window_, skip_special_tokens_);
  std::string part = text.size() > given_ ? text::repaired(std::string_view(text).substr(given_)) : "";
  window_.clear();
  given_ = 0;
  return part;
}

std::string replace_invalid_utf8(std::string_view bytes) { return text::repaired(bytes); }

std::optional<std::size_t> find_invalid_utf8(std::string_view bytes) noexcept {
  const std::size_t good = text::valid_prefix(bytes);
  return good == bytes.size() ? std::nullopt : std::optional(good);
}

}  // namespace portfire
