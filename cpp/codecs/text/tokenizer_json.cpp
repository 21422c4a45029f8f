#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <portfire/error.h>

#include "codecs/text/added_tokens.h"
#include "codecs/text/aligned_text.h"
#include "codecs/text/decoders.h"
#include "codecs/text/normalizers.h"
#include "codecs/text/post_processor.h"
#include "codecs/text/pre_tokenizers.h"
#include "codecs/text/token_model.h"
#include "codecs/text/tokenizer_core.h"
#include "core/text.h"

namespace portfire {
namespace {

using namespace text;

constexpr std::size_t kMostBytes = std::size_t{256} << 20;

struct Truncation {
  std::size_t most = 0;
  bool left = false;  ///< the first tokens go
};

struct Padding {
  std::size_t length = 0;  ///< 0: of a batch's longest, so nothing for one text
  std::size_t multiple = 0;
  std::int64_t id = 0;
  bool left = false;
};

bool given(const JsonNode& node, std::string_view key) { return node.has(key) && !node.at(key).is_null(); }

bool is_left(const JsonNode& node) {
  if (!given(node, "direction")) return false;
  const std::string direction = node.at("direction").string();
  if (direction != "Left" && direction != "Right") node.at("direction").fail(cat(quoted(direction), " is not known; one of Left, Right"));
  return direction == "Left";
}

Truncation truncation_of(const JsonNode& node) {
  node.require({"max_length"});
  return {static_cast<std::size_t>(node.at("max_length").integer(0)), is_left(node)};
}

std::size_t length_of(const JsonNode& node) {
  constexpr std::int64_t kLongest = std::int64_t{1} << 24;
  const std::int64_t length = node.integer(0);
  if (length > kLongest) node.fail(cat(length, " is too long; at most ", kLongest));
  return static_cast<std::size_t>(length);
}

Padding padding_of(const JsonNode& node) {
  node.require({"strategy", "pad_id"});
  Padding padding{.id = node.at("pad_id").integer(0), .left = is_left(node)};
  if (!node.at("strategy").is_string()) {
    padding.length = length_of(node.at("strategy").only_field("Fixed"));
  }
  if (given(node, "pad_to_multiple_of")) padding.multiple = length_of(node.at("pad_to_multiple_of"));
  return padding;
}

/// Text -> added tokens | normalizer -> pre-tokenizer -> model -> truncation, template, padding.
class TokenizerJson final : public TokenizerCore {
 public:
  explicit TokenizerJson(const JsonNode& root) {
    root.require({"model"});
    bool in_bytes = false;
    if (given(root, "normalizer")) normalizer_ = make_normalizer(root.at("normalizer"));
    if (given(root, "pre_tokenizer")) {
      in_bytes = reads_bytes(root.at("model")) && ends_in_bytes(root.at("pre_tokenizer"));
      pre_tokenizer_ = make_pre_tokenizer(root.at("pre_tokenizer"), !in_bytes);
    }
    model_ = make_token_model(root.at("model"), in_bytes);
    if (given(root, "added_tokens")) added_ = AddedTokens(root.at("added_tokens"), normalizer_);
    if (given(root, "post_processor")) post_ = make_post_processor(root.at("post_processor"));
    if (given(root, "decoder")) decoder_ = make_decoder(root.at("decoder"));
    if (given(root, "truncation")) truncation_ = truncation_of(root.at("truncation"));
    if (given(root, "padding")) padding_ = padding_of(root.at("padding"));
    name_tokens(root);
  }

  Encoding encode(std::string_view text, const EncodeOptions& options) const override {
    Encoding encoding;
    encoding.ids.reserve(text.size() / 4 + 8);
    encoding.offsets.reserve(text.size() / 4 + 8);
    std::size_t at = 0;
    const auto is_plain = [&](Range range) { return overlaps(options.plain, range); };
    for (const AddedTokens::Found& found : added_.find(text, false, is_plain)) {
      encode_part(text, {at, found.range.begin}, is_plain, encoding);
      put(encoding, found.id, found.range);
      at = found.range.end;
    }
    encode_part(text, {at, text.size()}, is_plain, encoding);
    refuse_specials(text, encoding, options.plain);
    finish(encoding, options);
    return encoding;
  }

  std::string decode(std::span<const std::int64_t> ids, bool skip_special_tokens) const override {
    std::vector<std::string> parts;
    parts.reserve(ids.size());
    for (const std::int64_t id : ids) {
      if (skip_special_tokens && added_.is_special(id)) continue;
      const auto found = names_.find(id);
      if (found != names_.end()) parts.push_back(found->second);
    }
    if (decoder_ && !parts.empty()) decoder_(parts);
    std::string text;
    for (std::size_t k = 0; k < parts.size(); ++k) {
      if (k > 0 && !decoder_) text += ' ';
      text += parts[k];
    }
    return text;
  }

  std::int64_t size() const noexcept override { return size_; }

  std::optional<std::int64_t> id(std::string_view token) const override {
    for (const Vocabulary* vocabulary : {&added_.vocabulary(), &model_->vocabulary()}) {
      if (const auto found = vocabulary->find(token); found != vocabulary->end()) return found->second;
    }
    return std::nullopt;
  }

  std::optional<std::string> token(std::int64_t id) const override {
    const auto found = names_.find(id);
    return found == names_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  void name_tokens(const JsonNode& root) {
    size_ = std::max(model_->size(), size_of(added_.vocabulary()));
    names_.reserve(model_->vocabulary().size());
    for (const auto& [token, id] : model_->vocabulary()) names_.emplace(id, token);
    for (const auto& [token, id] : added_.vocabulary()) names_.insert_or_assign(id, token);
    const auto check = [&](std::int64_t id, const char* part) {
      if (id >= size_) root.fail(cat(part, ": the id ", id, " is not in the vocabulary, which ends at ", size_ - 1));
    };
    for (const std::int64_t id : post_.before) check(id, "post_processor");
    for (const std::int64_t id : post_.after) check(id, "post_processor");
    if (padding_) check(padding_->id, "padding");
  }

  static void put(Encoding& encoding, std::int64_t id, Range range) {
    encoding.ids.push_back(id);
    encoding.offsets.push_back({static_cast<std::int64_t>(range.begin), static_cast<std::int64_t>(range.end)});
  }

  /// The first range that ends beyond `range.begin` decides: they are in order.
  static bool overlaps(const std::vector<TextRange>& ranges, Range range) {
    const auto begin = static_cast<std::int64_t>(range.begin);
    const auto next = std::partition_point(ranges.begin(), ranges.end(), [&](const TextRange& one) { return one.end <= begin; });
    return next != ranges.end() && next->begin < static_cast<std::int64_t>(range.end);
  }

  /// A model may have a special token's spelling among its own pieces.
  void refuse_specials(std::string_view text, const Encoding& encoding, const std::vector<TextRange>& plain) const {
    if (plain.empty()) return;
    for (std::size_t k = 0; k < encoding.ids.size(); ++k) {
      if (!added_.is_special(encoding.ids[k])) continue;
      const std::string& name = names_.at(encoding.ids[k]);
      const auto begin = static_cast<std::size_t>(encoding.offsets[k].begin);
      const std::size_t at = text.substr(begin, static_cast<std::size_t>(encoding.offsets[k].end) - begin).find(name);
      if (at == std::string_view::npos || !overlaps(plain, {begin + at, begin + at + name.size()})) continue;
      throw Error(ErrorCode::kInvalidInput, cat("the text holds ", quoted(name), ", which the tokenizer cannot tell from its special token"));
    }
  }

  /// A part of the text without tokens that are looked for in it as it is.
  template <typename IsPlain>
  void encode_part(std::string_view whole, Range part, const IsPlain& is_plain, Encoding& encoding) const {
    if (part.begin == part.end) return;
    AlignedText text(std::string(whole.substr(part.begin, part.end - part.begin)), part.begin);
    if (normalizer_) normalizer_(text);
    std::size_t at = 0;
    for (const AddedTokens::Found& found : added_.find(text.bytes(), true, [&](Range range) { return is_plain(text.source(range)); })) {
      encode_piece(whole, text.part({at, found.range.begin}), encoding);
      put(encoding, found.id, text.source(found.range));
      at = found.range.end;
    }
    encode_piece(whole, at == 0 ? std::move(text) : text.part({at, text.bytes().size()}), encoding);
  }

  void encode_piece(std::string_view whole, AlignedText text, Encoding& encoding) const {
    if (text.empty()) return;
    Pieces pieces{std::move(text), {}};
    pieces.ranges.push_back({0, pieces.text.bytes().size()});
    if (pre_tokenizer_) pre_tokenizer_(pieces);
    std::vector<Token> tokens;
    model_->tokenize(pieces.text.bytes(), pieces.ranges, tokens);
    for (const Token& token : tokens) {
      const Range range = pieces.text.source(token.range);
      put(encoding, token.id, post_.trims_offsets ? trimmed(whole, range) : range);
    }
  }

  /// Without the spaces around it: no other white space is a letter of its own in GPT-2's alphabet.
  static Range trimmed(std::string_view whole, Range range) {
    while (range.begin < range.end && whole[range.begin] == ' ') ++range.begin;
    while (range.begin < range.end && whole[range.end - 1] == ' ') --range.end;
    return range;
  }

  template <typename Rows>
  static void insert(Rows& rows, bool at_end, std::size_t count, const typename Rows::value_type& value) {
    rows.insert(at_end ? rows.end() : rows.begin(), count, value);
  }

  /// All but the first (or last) tokens of the text that `most` leaves room for go.
  static void truncate(Encoding& encoding, std::size_t most, std::size_t around, bool left) {
    most -= std::min(around, most);
    if (encoding.ids.size() <= most) return;
    const auto gone = static_cast<std::ptrdiff_t>(encoding.ids.size() - most);
    const auto cut = [&](auto& rows) { left ? rows.erase(rows.begin(), rows.begin() + gone) : rows.erase(rows.end() - gone, rows.end()); };
    cut(encoding.ids);
    cut(encoding.offsets);
  }

  void finish(Encoding& encoding, const EncodeOptions& options) const {
    const bool specials = options.add_special_tokens;
    const std::size_t around = specials ? post_.before.size() + post_.after.size() : 0;
    if (truncation_) truncate(encoding, truncation_->most, around, truncation_->left);
    if (options.max_tokens > 0) truncate(encoding, static_cast<std::size_t>(options.max_tokens), around, truncation_ && truncation_->left);
    if (specials) {
      encoding.ids.insert(encoding.ids.begin(), post_.before.begin(), post_.before.end());
      encoding.ids.insert(encoding.ids.end(), post_.after.begin(), post_.after.end());
      insert(encoding.offsets, false, post_.before.size(), {});
      insert(encoding.offsets, true, post_.after.size(), {});
    }
    if (!padding_) return;
    std::size_t length = std::max(padding_->length, encoding.ids.size());
    if (padding_->multiple > 0) length = (length + padding_->multiple - 1) / padding_->multiple * padding_->multiple;
    const std::size_t missing = length - encoding.ids.size();
    insert(encoding.ids, !padding_->left, missing, padding_->id);
    insert(encoding.offsets, !padding_->left, missing, {});
  }

  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  std::unique_ptr<TokenModel> model_;
  AddedTokens added_;
  PostProcessor post_;
  Decoder decoder_;
  std::optional<Truncation> truncation_;
  std::optional<Padding> padding_;
  std::unordered_map<std::int64_t, std::string> names_;
  std::int64_t size_ = 0;
};

}  // namespace

std::shared_ptr<const TokenizerCore> read_tokenizer_json(std::string_view json, const std::string& name) {
  const nlohmann::json document = parse_strict_json(json, name, kMostBytes);
  return std::make_shared<TokenizerJson>(JsonNode(document, name));
}

}  // namespace portfire
