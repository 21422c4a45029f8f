#include "archive/record_name.h"

#include <gtest/gtest.h>

namespace portfire {
namespace {

TEST(RecordName, FoldsAsciiLettersOnly) { EXPECT_EQ(folded("Data.PKL/Ä0"), "data.pkl/Ä0"); }

TEST(RecordName, AllowsRelativePaths) {
  for (const char* path : {"data.pkl", "a/b/c", ".data/version", "..a/b..", "zwölf/模型", "\xf0\x9f\x94\xa5"}) {
    EXPECT_EQ(problem_with_path(path), "") << path;
  }
}

TEST(RecordName, RefusesPathsThatLeaveTheFolder) {
  for (const char* path : {"", "/a", "a//b", "a/", "/", ".", "..", "../a", "a/../b", "a/..", "./a", "a/./b", "a\\b"}) {
    EXPECT_NE(problem_with_path(path), "") << path;
  }
}

TEST(RecordName, RefusesControlCharacters) {
  EXPECT_EQ(problem_with_path(std::string_view("a\0b", 3)), "holds a control character");
  EXPECT_EQ(problem_with_path("a\x1b[2J"), "holds a control character");
  EXPECT_EQ(problem_with_path("a\x7f"), "holds a control character");
}

TEST(RecordName, RefusesWhatIsNotUtf8) {
  const char* const bad[] = {"\x80",         "\xff",         "a\xc3",        "\xc0\xaf",         "\xe0\x80\xaf",
                             "\xed\xa0\x80", "\xe2\x82",     "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80"};
  for (const char* path : bad) EXPECT_EQ(problem_with_path(path), "is not UTF-8");
}

}  // namespace
}  // namespace portfire
