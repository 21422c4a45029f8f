#include <sentencepiece_processor.h>

#include <algorithm>
#include <exception>
#include <string>
#include <vector>

#include <portfire/error.h>

#include "codecs/text/sentencepiece_check.h"
#include "codecs/text/tokenizer_core.h"
#include "core/text.h"

namespace portfire {
namespace {

constexpr std::size_t kMostBytes = std::size_t{128} << 20;  // a normalized text may be eleven times as long, and has less than 2 GiB

std::string one_line(std::string_view message) { return quoted(message, 200); }

class SentencePieceModel final : public TokenizerCore {
 public:
  SentencePieceModel(std::string_view bytes, const std::string& name) : name_(name) {
    if (const std::string problem = text::problem_with_sentencepiece(bytes); !problem.empty()) fail(problem);
    try {
      const auto status = processor_.LoadFromSerializedProto(bytes);
      if (!status.ok()) fail(one_line(status.error_message()));
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {  // of the double array within
      fail(one_line(error.what()));
    }
    if (processor_.GetPieceSize() < 1) fail("has no pieces");
  }

  Encoding encode(std::string_view text, const EncodeOptions& options) const override {
    if (text.size() > kMostBytes) {
      throw Error(ErrorCode::kInvalidInput, cat(name_, ": a text of ", human_bytes(static_cast<double>(text.size())), "; SentencePiece is given at most ",
                                                human_bytes(static_cast<double>(kMostBytes))));
    }
    sentencepiece::ImmutableSentencePieceText made;
    if (const auto status = processor_.Encode(text, made.mutable_proto()); !status.ok()) {
      throw Error(ErrorCode::kInvalidInput, cat(name_, ": SentencePiece cannot encode the text: ", one_line(status.error_message())));
    }
    const std::size_t count = options.max_tokens > 0 ? std::min(made.pieces_size(), static_cast<std::size_t>(options.max_tokens)) : made.pieces_size();
    Encoding encoding;
    encoding.ids.reserve(count);
    encoding.offsets.reserve(count);
    for (std::size_t k = 0; k < count; ++k) {
      const auto piece = made.pieces(static_cast<int>(k));
      encoding.ids.push_back(piece.id());
      encoding.offsets.push_back({piece.begin(), piece.end()});
    }
    return encoding;
  }

  std::string decode(std::span<const std::int64_t> ids, bool) const override {
    sentencepiece::ImmutableSentencePieceText made;
    if (const auto status = processor_.Decode(std::vector<int>(ids.begin(), ids.end()), made.mutable_proto()); !status.ok()) {
      throw Error(ErrorCode::kInvalidInput, cat(name_, ": SentencePiece cannot decode the tokens: ", one_line(status.error_message())));
    }
    std::string text;
    for (std::size_t k = 0; k < ids.size(); ++k) {
      const auto id = static_cast<int>(ids[k]);
      if (processor_.IsByte(id)) {  // the library makes U+FFFD of bytes that wait for others; these may still come
        text += static_cast<char>(std::stoi(processor_.IdToPiece(id).substr(3, 2), nullptr, 16));  // <0x0A>
      } else {
        text += made.pieces(static_cast<int>(k)).surface();
      }
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
