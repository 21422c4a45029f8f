#include "codecs/text/sentencepiece_check.h"

#include <cstdint>
#include <cstring>
#include <optional>

#include "core/text.h"

namespace portfire::text {
namespace {

/// The fields of a protobuf message, one after another (protobuf.dev/programming-guides/encoding).
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  struct Field {
    std::uint64_t number = 0;
    unsigned kind = 0;
    std::string_view bytes;  ///< of kind 2
  };

  /// Nothing at the end, or where the message is damaged.
  std::optional<Field> next() {
    std::uint64_t key = 0;
    if (rest_.empty() || !varint(key)) return std::nullopt;
    Field field{key >> 3, static_cast<unsigned>(key & 7), {}};
    std::uint64_t size = 0;
    switch (field.kind) {
      case 0: return varint(size) ? std::optional(field) : fail();
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

/// A size, a Darts double array of that many bytes, and the texts that its leaves point at. An inner unit at k leads to
/// k ^ offset ^ byte, a leaf holds a place in the texts.
std::string problem_with_map(std::string_view map) {
  if (map.empty()) return "";
  if (map.size() < 4) return "its character map is cut short";
  const std::size_t bytes = word_at(map, 0);
  if (bytes > map.size() - 4 || bytes % 1024 != 0 || bytes == 0) return "its character map has no whole blocks";
  const std::string_view units = map.substr(4, bytes);
  const std::string_view texts = map.substr(4 + bytes);
  const std::size_t count = bytes / 4;
  if (texts.empty() || texts.back() != '\0') return "the texts of its character map have no end";
  for (std::size_t k = 0; k < count; ++k) {
    const std::uint32_t unit = word_at(units, 4 * k);
    if ((unit & (1U << 31)) != 0) {
      if ((unit & ~(1U << 31)) >= texts.size()) return cat("its character map points at text ", unit & ~(1U << 31), " of ", texts.size());
      continue;
    }
    const std::size_t offset = std::size_t{unit >> 10} << ((unit & (1U << 9)) >> 6);
    if ((k ^ offset) >= count) return cat("its character map leads to unit ", k ^ offset, " of ", count);
  }
  return "";
}

}  // namespace

std::string problem_with_sentencepiece(std::string_view model) {
  constexpr std::uint64_t kNormalizer = 3;
  constexpr std::uint64_t kDenormalizer = 5;
  constexpr std::uint64_t kMap = 2;
  Fields fields(model);
  while (const auto field = fields.next()) {
    if ((field->number != kNormalizer && field->number != kDenormalizer) || field->kind != 2) continue;
    Fields inner(field->bytes);
    while (const auto part = inner.next()) {
      if (part->number != kMap || part->kind != 2) continue;
      if (std::string problem = problem_with_map(part->bytes); !problem.empty()) return problem;
    }
    if (inner.damaged()) return "it is damaged";
  }
  return fields.damaged() ? "it is damaged" : "";
}

}  // namespace portfire::text
