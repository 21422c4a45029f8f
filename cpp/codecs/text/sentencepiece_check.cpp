#include "codecs/text/sentencepiece_check.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "codecs/text/utf8.h"
#include "core/text.h"

namespace portfire::text {
namespace {

// What the library has room for in arrays on its stack, and does not look whether it is enough.
constexpr unsigned kMostMapKeys = 32;
constexpr std::size_t kMostUserKeys = 64;
// It calls itself once for each symbol that an unused piece is made of.
constexpr std::size_t kLongestPiece = 4096;
// It counts the bytes of a normalized text in an int.
constexpr std::size_t kLongestReplacement = 256;

/// The fields of a protobuf message, one after another (protobuf.dev/programming-guides/encoding).
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  struct Field {
    std::uint64_t number = 0;
    unsigned kind = 0;
    std::string_view bytes;   ///< of kinds 1, 2 and 5
    std::uint64_t value = 0;  ///< of kind 0
  };

  /// Nothing at the end, or where the message is damaged.
  std::optional<Field> next() {
    std::uint64_t key = 0;
    if (rest_.empty() || !varint(key)) return std::nullopt;
    Field field{key >> 3, static_cast<unsigned>(key & 7), {}};
    std::uint64_t size = 0;
    switch (field.kind) {
      case 0: return varint(field.value) ? std::optional(field) : fail();
      case 1: size = 8; break;
      case 2:
        if (!varint(size)) return fail();
        break;
      case 5: size = 4; break;
      default: return fail();
    }
    if (size > rest_.size()) return fail();
    field.bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return field;
  }

  [[nodiscard]] bool damaged() const { return damaged_; }

 private:
  std::optional<Field> fail() {
    damaged_ = true;
    return std::nullopt;
  }

  bool varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return true;
    }
    damaged_ = true;
    return false;
  }

  std::string_view rest_;
  bool damaged_ = false;
};

std::uint32_t word_at(std::string_view bytes, std::size_t at) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes.data() + at, sizeof word);
  return word;
}

/// A unit of a Darts double array (github.com/s-yata/darts-clone).
struct Unit {
  std::uint32_t bits = 0;
  [[nodiscard]] std::uint32_t label() const { return bits & (1U << 31 | 0xFFU); }
  [[nodiscard]] bool has_leaf() const { return (bits >> 8 & 1) != 0; }
  [[nodiscard]] std::size_t value() const { return bits & ~(1U << 31); }
  [[nodiscard]] std::size_t offset() const { return std::size_t{bits >> 10} << ((bits & 1U << 9) >> 6); }
};

/// A size, a double array of that many bytes, and the texts that its leaves point at. From a unit at k the byte c leads
/// to k ^ offset ^ c if that unit's label is c; a leaf's value is that of the unit at k ^ offset. The array may share
/// its branches: what is walked here are the places k ^ offset, each with the most keys that lead to it.
std::string problem_with_map(std::string_view map) {
  if (map.empty()) return "";
  if (map.size() < 4) return "its character map is cut short";
  const std::size_t bytes = word_at(map, 0);
  if (bytes > map.size() - 4 || bytes % 1024 != 0 || bytes == 0) return "its character map has no whole blocks";
  const std::string_view units = map.substr(4, bytes);
  const std::string_view texts = map.substr(4 + bytes);
  const std::size_t count = bytes / 4;
  if (texts.empty() || texts.back() != '\0') return "the texts of its character map have no end";
  const auto unit_at = [&](std::size_t k) { return Unit{word_at(units, 4 * k)}; };
  constexpr std::uint8_t kNotSeen = 255;
  std::vector<std::uint8_t> keys(count, kNotSeen);
  std::vector<std::size_t> open;
  std::string problem;
  const auto reach = [&](std::size_t from, unsigned before) {
    const Unit unit = unit_at(from);
    const std::size_t place = from ^ unit.offset();
    if (place >= count) {
      problem = cat("its character map leads to unit ", place, " of ", count);
      return;
    }
    if (unit.has_leaf()) {
      const std::size_t text = unit_at(place).value();
      if (text >= texts.size()) {
        problem = cat("its character map points at text ", text, " of ", texts.size());
      } else if (texts.find('\0', text) - text > kLongestReplacement) {
        problem = cat("its character map has a text of more than ", kLongestReplacement, " bytes");
      } else if (++before > kMostMapKeys) {
        problem = cat("its character map has more than ", kMostMapKeys, " keys that begin alike");
      }
    }
    if (!problem.empty() || (keys[place] != kNotSeen && keys[place] >= before)) return;
    keys[place] = static_cast<std::uint8_t>(before);
    open.push_back(place);
  };
  reach(0, 0);
  while (!open.empty() && problem.empty()) {
    const std::size_t place = open.back();
    open.pop_back();
    for (std::size_t c = 0; c < 256 && problem.empty(); ++c) {
      if (unit_at(place ^ c).label() == c) reach(place ^ c, keys[place]);
    }
  }
  return problem;
}

struct Piece {
  std::string_view text;
  float score = 0;
  std::uint64_t type = 1;
};

constexpr std::uint64_t kUserDefined = 4;

/// The last of each field counts, as in protobuf.
Piece piece_of(Fields fields) {
  Piece piece;
  while (const auto field = fields.next()) {
    if (field->number == 1 && field->kind == 2) piece.text = field->bytes;
    if (field->number == 2 && field->kind == 5) std::memcpy(&piece.score, field->bytes.data(), sizeof piece.score);
    if (field->number == 3 && field->kind == 0) piece.type = field->value;
  }
  return piece;
}

std::string problem_with_piece(const Piece& piece) {
  if (piece.text.size() > kLongestPiece) return cat("is of ", piece.text.size(), " bytes; at most ", kLongestPiece);
  if (piece.text.find('\0') != std::string_view::npos) return "has a NUL in it";
  if (valid_prefix(piece.text) != piece.text.size()) return "is not UTF-8";
  if (!std::isfinite(piece.score)) return "has no finite score";
  return "";
}

/// How many of the texts, each with the next, begin alike.
std::size_t most_nested(std::vector<std::string_view> texts) {
  std::sort(texts.begin(), texts.end());
  std::vector<std::string_view> open;
  std::size_t most = 0;
  for (const std::string_view text : texts) {
    while (!open.empty() && !text.starts_with(open.back())) open.pop_back();
    open.push_back(text);
    most = std::max(most, open.size());
  }
  return most;
}

bool has_map(Fields fields) {
  bool has = false;
  while (const auto field = fields.next()) has = has || (field->number == 2 && field->kind == 2 && !field->bytes.empty());
  return has;
}

std::string problem_with_normalizer(Fields fields) {
  while (const auto field = fields.next()) {
    if (field->number != 2 || field->kind != 2) continue;
    if (std::string problem = problem_with_map(field->bytes); !problem.empty()) return problem;
  }
  return fields.damaged() ? "it is damaged" : "";
}

}  // namespace

std::string problem_with_sentencepiece(std::string_view model) {
  constexpr std::uint64_t kPiece = 1;
  constexpr std::uint64_t kNormalizer = 3;
  constexpr std::uint64_t kDenormalizer = 5;
  Fields fields(model);
  std::vector<std::string_view> user_defined;
  std::size_t number = 0;
  while (const auto field = fields.next()) {
    if (field->kind != 2) continue;
    std::string problem;
    if (field->number == kPiece) {
      const Piece piece = piece_of(Fields(field->bytes));
      problem = problem_with_piece(piece);
      if (!problem.empty()) return cat("its piece ", number, ' ', problem);
      if (piece.type == kUserDefined) user_defined.push_back(piece.text);
      ++number;
    }
    if (field->number == kNormalizer) problem = problem_with_normalizer(Fields(field->bytes));
    if (field->number == kDenormalizer && !field->bytes.empty() && has_map(Fields(field->bytes))) problem = "it has a denormalizer, which is not supported";
    if (!problem.empty()) return problem;
  }
  if (fields.damaged()) return "it is damaged";
  if (most_nested(user_defined) > kMostUserKeys) return cat("it has more than ", kMostUserKeys, " user-defined pieces that begin alike");
  return "";
}

}  // namespace portfire::text
