#include <sentencepiece_processor.h>

#include <algorithm>
#include <limits>
#include <utility>

#include <portfire/error.h>

#include "codecs/text/sentencepiece_check.h"
#include "codecs/text/tokenizer_core.h"
#include "core/text.h"

namespace portfire {
namespace {

class SentencePieceModel final : public TokenizerCore {
 public:
  SentencePieceModel(std::string_view bytes, const std::string& name) : name_(name) {
    if (const std::string problem = text::problem_with_sentencepiece(bytes); !problem.empty()) fail(problem);
    const auto status = processor_.LoadFromSerializedProto(bytes);
    if (!status.ok()) fail(status.error_message());
    if (processor_.GetPieceSize() < 1) fail("has no pieces");
  }

  Encoding encode(std::string_view text, const EncodeOptions& options) const override {
    if (text.size() > std::numeric_limits<std::int32_t>::max()) {
      throw Error(ErrorCode::kInvalidInput, cat(name_, ": a text of ", human_bytes(static_cast<double>(text.size())), "; SentencePiece takes less than 2 GiB"));
    }
    const sentencepiece::ImmutableSentencePieceText made = processor_.EncodeAsImmutableProto(text);
    Encoding encoding;
    encoding.ids.reserve(made.pieces_size());
    encoding.offsets.reserve(made.pieces_size());
    const std::size_t count = options.max_tokens > 0 ? std::min(made.pieces_size(), static_cast<std::size_t>(options.max_tokens)) : made.pieces_size();
    for (std::size_t k = 0; k < count; ++k) {
      const auto piece = made.pieces(static_cast<int>(k));
      encoding.ids.push_back(piece.id());
      encoding.offsets.push_back({piece.begin(), piece.end()});
    }
    return encoding;
  }

  std::string decode(std::span<const std::int64_t> ids, bool) const override {
    // The library makes U+FFFD of bytes that wait for others; these may still come.
    std::size_t whole = ids.size();
    while (whole > 0 && processor_.IsByte(static_cast<int>(ids[whole - 1]))) --whole;
    std::string text = processor_.DecodeIds({ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(whole)});
    for (const std::int64_t id : ids.subspan(whole)) {
      text += static_cast<char>(std::stoi(processor_.IdToPiece(static_cast<int>(id)).substr(3, 2), nullptr, 16));  // <0x0A>
    }
    return text;
  }

  std::int64_t size() const noexcept override { return processor_.GetPieceSize(); }

  std::optional<std::int64_t> id(std::string_view token) const override {
    const int found = processor_.PieceToId(token);
    if (processor_.IsUnknown(found) && processor_.IdToPiece(found) != token) return std::nullopt;
    return found;
  }

  std::optional<std::string> token(std::int64_t id) const override { return processor_.IdToPiece(static_cast<int>(id)); }

 private:
  [[noreturn]] void fail(std::string_view problem) const {
    throw Error(ErrorCode::kInvalidPackage, cat(name_, ": not a SentencePiece model that can be used: ", problem));
  }

  std::string name_;
  sentencepiece::SentencePieceProcessor processor_;
};

}  // namespace

std::shared_ptr<const TokenizerCore> read_sentencepiece(std::span<const std::byte> bytes, const std::string& name) {
  return std::make_shared<SentencePieceModel>(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), name);
}

}  // namespace portfire
