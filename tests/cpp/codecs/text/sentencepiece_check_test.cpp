#include "codecs/text/sentencepiece_check.h"

#include <limits>

#include "text.h"

namespace portfire::text {
namespace {

using testing::HasSubstr;

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

std::string field(unsigned number, const std::string& message) { return varint(number << 3 | 2) + varint(message.size()) + message; }

std::string piece(const std::string& text, unsigned type = 1, float score = 0) {
  return field(1, field(1, text) + "\x15" + little_endian(score) + "\x18" + static_cast<char>(type));
}

std::string units(const std::vector<std::pair<std::size_t, std::uint32_t>>& set, std::size_t count = 256) {
  std::string bytes;
  std::vector<std::uint32_t> all(count);
  for (const auto& [at, unit] : set) all[at] = unit;
  for (const std::uint32_t unit : all) bytes += little_endian(unit);
  return bytes;
}

std::string map_of(const std::string& trie, const std::string& texts) { return little_endian(static_cast<std::uint32_t>(trie.size())) + trie + texts; }

constexpr std::uint32_t kLeaf = 1 << 8;
constexpr std::uint32_t kTexts = 1U << 31;

std::uint32_t unit(unsigned label, unsigned offset, std::uint32_t flags = 0) { return label | offset << 10 | flags; }

std::string why(const std::string& map) { return problem_with_sentencepiece(field(3, field(2, map))); }

const std::string kText("x\0", 2);

TEST(SentencePieceCheck, WhatTheLibraryWritesIsSound) {
  for (const std::string name : {"unigram", "bpe", "char", "word"}) {
    const Bytes bytes = test_data("tokenizers/" + name + ".model");
    EXPECT_EQ(problem_with_sentencepiece(text_of(bytes)), "") << name;
    const Bytes shorter(bytes.begin(), bytes.end() - 1);
    EXPECT_EQ(problem_with_sentencepiece(text_of(shorter)), "it is damaged") << name;
  }
}

TEST(SentencePieceCheck, AMapLeadsToItsOwnUnitsAndTexts) {
  const auto of_a = [](std::uint32_t a, std::uint32_t leaf) { return units({{0, unit(0, 1)}, {1 ^ 'a', a}, {1 ^ 'a' ^ 2, leaf}}); };
  EXPECT_EQ(why(map_of(of_a(unit('a', 2, kLeaf), kTexts | 1), kText)), "");
  EXPECT_EQ(why(map_of(of_a(unit('a', 2, kLeaf), kTexts | 2), kText)), "its character map points at text 2 of 2");
  EXPECT_EQ(why(map_of(of_a(unit('a', 2, kLeaf), 2), kText)), "its character map points at text 2 of 2");  // no leaf's mark, and read all the same
  EXPECT_THAT(why(map_of(of_a(unit('a', 2000), 0), kText)), HasSubstr("its character map leads to unit "));
  EXPECT_EQ(why(map_of(units({{0, unit(0, 1)}, {200, unit('a', 2000)}}), kText)), "");  // where no key leads nothing is read
  EXPECT_EQ(why(map_of(units({}), "x")), "the texts of its character map have no end");
  EXPECT_EQ(why(map_of(units({}, 255), kText)), "its character map has no whole blocks");
  EXPECT_EQ(why(little_endian(std::uint32_t{2048}) + units({})), "its character map has no whole blocks");
  EXPECT_EQ(why("abc"), "its character map is cut short");
  EXPECT_EQ(why(map_of(of_a(unit('a', 2, kLeaf), kTexts), std::string(257, 'x') + kText)), "its character map has a text of more than 256 bytes");
  EXPECT_EQ(problem_with_sentencepiece(field(5, field(2, "abc"))), "it has a denormalizer, which is not supported");
}

TEST(SentencePieceCheck, AMapHasNoMoreKeysThatBeginAlikeThanTheLibraryHasRoomFor) {
  // From unit 1 the byte 'a' leads back to unit 1: keys a, aa, aaa without end.
  EXPECT_EQ(why(map_of(units({{0, unit(0, 1)}, {1 ^ 'a', unit('a', 'a', kLeaf)}}), kText)), "its character map has more than 32 keys that begin alike");
  EXPECT_EQ(why(map_of(units({{0, unit(0, 1)}, {1 ^ 'a', unit('a', 'a')}}), kText)), "");  // a circle of no keys
}

TEST(SentencePieceCheck, PiecesAreTextOfAModestLength) {
  EXPECT_EQ(problem_with_sentencepiece(piece("a") + piece("b")), "");
  EXPECT_EQ(problem_with_sentencepiece(piece("a") + piece(std::string("a\0", 2))), "its piece 1 has a NUL in it");
  EXPECT_EQ(problem_with_sentencepiece(piece("\xFF")), "its piece 0 is not UTF-8");
  EXPECT_EQ(problem_with_sentencepiece(piece(std::string(4097, 'a'))), "its piece 0 is of 4097 bytes; at most 4096");
  EXPECT_EQ(problem_with_sentencepiece(piece("a", 1, std::numeric_limits<float>::quiet_NaN())), "its piece 0 has no finite score");
}

TEST(SentencePieceCheck, UserDefinedPiecesThatBeginAlikeAreFew) {
  std::string model;
  for (std::size_t k = 1; k <= 64; ++k) model += piece(std::string(k, 'a'), 4) + piece("b" + std::string(k, 'a'), 4);
  EXPECT_EQ(problem_with_sentencepiece(model), "");
  EXPECT_EQ(problem_with_sentencepiece(model + piece(std::string(65, 'a'), 4)), "it has more than 64 user-defined pieces that begin alike");
}

TEST(SentencePieceCheck, ADamagedModelIsRefusedByTheReader) {
  const auto refused = [](const std::string& bytes) { return refusal(ErrorCode::kInvalidPackage, [&] { Tokenizer::from_bytes(bytes_of(bytes), "m"); }); };
  EXPECT_EQ(refused("not a model"), "m: not a SentencePiece model that can be used: it is damaged");
  EXPECT_EQ(refused(""), "m: is empty; a tokenizer.json or a SentencePiece model is needed");
  EXPECT_THAT(refused(piece("a")), HasSubstr("m: not a SentencePiece model that can be used: "));
  EXPECT_THAT(refused(piece("<unk>", 2) + piece("a\nb") + piece("a\nb")), HasSubstr("is already defined"));
  EXPECT_THAT(refused(piece("<unk>", 2) + piece("\n", 6)), HasSubstr("byte piece"));
}

}  // namespace
}  // namespace portfire::text
