#include "codecs/text/characters.h"

#include "codecs/text/byte_alphabet.h"
#include "text.h"

namespace portfire::text {
namespace {

TEST(Characters, KindsOfCodePoints) {
  for (const char32_t c : {U' ', U'\t', U'\n', U'\u0085', U'\u00A0', U'\u1680', U'\u2003', U'\u2028', U'\u202F', U'\u3000'}) EXPECT_TRUE(is_whitespace(c)) << static_cast<unsigned>(c);
  for (const char32_t c : {U'\u180E', U'\u200B', U'\uFEFF', U'a', U'\0'}) EXPECT_FALSE(is_whitespace(c)) << static_cast<unsigned>(c);
  for (const char32_t c : {U'\u0301', U'\u0903', U'\u20DD'}) EXPECT_TRUE(is_mark(c)) << static_cast<unsigned>(c);
  EXPECT_TRUE(is_nonspacing_mark(U'\u0301'));
  EXPECT_FALSE(is_nonspacing_mark(U'\u0903'));
  for (const char32_t c : {U'7', U'\u0663', U'\u2167', U'\u00BD'}) EXPECT_TRUE(is_number(c)) << static_cast<unsigned>(c);
  for (const char32_t c : {U'!', U'$', U'^', U'`', U'~', U'_', U'\u00BF', U'\u3001'}) EXPECT_TRUE(is_punctuation(c)) << static_cast<unsigned>(c);
  for (const char32_t c : {U'a', U'7', U' ', U'\u20AC'}) EXPECT_FALSE(is_punctuation(c)) << static_cast<unsigned>(c);
  for (const char32_t c : {U'\x7F', U'\u0085', U'\u200D', U'\uE000'}) EXPECT_TRUE(is_control(c)) << static_cast<unsigned>(c);
  for (const char32_t c : {U'\t', U'\n', U'\r', U'a'}) EXPECT_FALSE(is_control(c)) << static_cast<unsigned>(c);
  for (const char32_t c : {U'a', U'_', U'7', U'\u0301', U'\u200D', U'\u4E2D'}) EXPECT_TRUE(is_word(c)) << static_cast<unsigned>(c);
  EXPECT_FALSE(is_word(U'-'));
  EXPECT_TRUE(is_cjk_ideograph(U'\u4E2D'));
  EXPECT_FALSE(is_cjk_ideograph(U'\u30AB'));
}

TEST(ByteAlphabet, EveryByteHasALetterOfItsOwn) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(bytes_spelled(spelling_of(all)), all);
  EXPECT_EQ(spelling_of(" a\n\u00e9"), "\u0120a\u010a\u00c3\u00a9");
  EXPECT_EQ(bytes_spelled("a b"), std::nullopt);
  EXPECT_EQ(bytes_spelled("\u65e5"), std::nullopt);
}

}  // namespace
}  // namespace portfire::text
