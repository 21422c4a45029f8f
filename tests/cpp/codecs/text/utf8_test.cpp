#include "codecs/text/utf8.h"

#include "text.h"

namespace portfire::text {
namespace {

TEST(Utf8, EveryCodePointGoesBothWays) {
  std::string all;
  std::size_t count = 0;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string one;
    append(one, c);
    ASSERT_EQ(code_point_at(one, 0).value, c);
    ASSERT_EQ(code_point_at(one, 0).bytes, one.size());
    ASSERT_EQ(code_point_before(one, one.size()).value, c);
    all += one;
    ++count;
  }
  EXPECT_EQ(valid_prefix(all), all.size());
  EXPECT_EQ(count_code_points(all), count);
}

TEST(Utf8, WhatIsNotUtf8EndsTheValidPrefix) {
  for (const std::string bad : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC3", "\xC3(", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
                                "\xE2\x82", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE", "\xFF"}) {
    EXPECT_EQ(valid_prefix("eight by " + bad + "e"), 9u) << testing::PrintToString(bad);
    EXPECT_EQ(find_invalid_utf8("\xC3\xA9" + bad), 2u);
  }
  EXPECT_EQ(find_invalid_utf8("caf\xC3\xA9"), std::nullopt);
  EXPECT_EQ(find_invalid_utf8(""), std::nullopt);
}

TEST(Utf8, OneReplacementForEachMaximalPart) {  // Unicode 15, table 3-8 and its neighbours
  EXPECT_EQ(replace_invalid_utf8("a\xC0\xAF\xE0\x80\xBF\xF0\x81\x82" "A"), "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" "A");
  EXPECT_EQ(replace_invalid_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF" "A"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" "A");
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(replace_invalid_utf8("caf\xC3\xA9"), "caf\xC3\xA9");
}

TEST(Utf8, OnlyWhatMayStillBecomeACodePointIsUnfinished) {
  EXPECT_EQ(unfinished_tail(""), 0u);
  EXPECT_EQ(unfinished_tail("a"), 0u);
  EXPECT_EQ(unfinished_tail("\xC3"), 1u);
  EXPECT_EQ(unfinished_tail("a\xE2\x82"), 2u);
  EXPECT_EQ(unfinished_tail("\xF0\x9F\x98"), 3u);
  EXPECT_EQ(unfinished_tail("\xF0\x9F\x98\x80"), 0u);
  EXPECT_EQ(unfinished_tail("\xE0\x80"), 0u);  // no code point begins so
  EXPECT_EQ(unfinished_tail("\x80\x80\x80\x80"), 0u);
  EXPECT_EQ(unfinished_tail("\xFF"), 0u);
}

}  // namespace
}  // namespace portfire::text
