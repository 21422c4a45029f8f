#include "codecs/text/aligned_text.h"

#include "text.h"

namespace portfire::text {
namespace {

TEST(AlignedText, APartOfTheSourceIsWhereItLies) {
  const AlignedText text("caf\u00e9", 10);
  EXPECT_EQ(text.source({0, 3}), (Range{10, 13}));
  EXPECT_EQ(text.source({4, 5}), (Range{13, 15}));  // within a code point: all of it
  EXPECT_EQ(text.source({3, 4}), (Range{13, 15}));
  EXPECT_EQ(text.source({2, 2}), (Range{12, 12}));
  EXPECT_EQ(text.part({3, 5}).bytes(), "\u00e9");
  EXPECT_EQ(text.part({3, 5}).source({0, 2}), (Range{13, 15}));
}

TEST(AlignedText, WhatIsReplacedComesFromWhatItReplaces) {
  const AlignedText text("a\u00e9b", 5);
  Rewriter rewriter(text);
  rewriter.keep({0, 1});
  rewriter.replace("xyz", {1, 3});
  rewriter.keep({3, 4});
  const AlignedText made = rewriter.done();
  EXPECT_EQ(made.bytes(), "axyzb");
  EXPECT_EQ(made.source({0, 1}), (Range{5, 6}));
  EXPECT_EQ(made.source({1, 2}), (Range{6, 8}));
  EXPECT_EQ(made.source({2, 5}), (Range{6, 9}));
  EXPECT_EQ(made.source({5, 5}), (Range{9, 9}));
  Rewriter again(made);
  again.replace("", {0, 4});
  again.keep({4, 5});
  EXPECT_EQ(again.done().source({0, 1}), (Range{8, 9}));
}

TEST(AlignedText, CodePointsAreChangedOneByOne) {
  AlignedText text("a\u00e9a", 0);
  rewrite_code_points(text, [](char32_t c, std::string& out) {
    if (c == 'a') return true;
    out += "--";
    return false;
  });
  EXPECT_EQ(text.bytes(), "a--a");
  EXPECT_EQ(text.source({2, 4}), (Range{1, 4}));
}

TEST(AlignedText, ItDoesNotGrowWithoutBound) {
  AlignedText text("aaaa", 0);
  const std::string much(1000, 'a');
  const std::string why = refusal(ErrorCode::kResourceExhausted, [&] {
    for (int k = 0; k < 3; ++k) {
      rewrite_code_points(text, [&](char32_t, std::string& out) {
        out += much;
        return false;
      });
    }
  });
  EXPECT_EQ(why, "the tokenizer makes more than 64.2 KiB of the text");
}

}  // namespace
}  // namespace portfire::text
