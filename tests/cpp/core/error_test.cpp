#include <portfire/error.h>

#include <gtest/gtest.h>

#include <set>

namespace portfire {
namespace {

TEST(Error, MessageIsOneLine) {
  const Error error(ErrorCode::kInternal, "first\n  second\ttail\n");
  EXPECT_STREQ(error.what(), "first   second tail");
  EXPECT_EQ(error.code(), ErrorCode::kInternal);
}

TEST(Error, TableIsOrderedByCodeAndUnambiguous) {
  std::set<std::string_view> names;
  std::set<int> exits;
  for (std::size_t k = 0; k < error_codes().size(); ++k) {
    const ErrorCodeInfo& row = error_codes()[k];
    EXPECT_EQ(static_cast<std::size_t>(row.code), k);
    EXPECT_EQ(&info_of(row.code), &row);
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(exits.insert(row.exit_status).second) << row.exit_status;
    EXPECT_GT(row.exit_status, 0);
    EXPECT_GE(row.http_status, 400);
    EXPECT_TRUE(row.python.ends_with("Error")) << row.python;
  }
  EXPECT_EQ(names.size(), 15u);
}

}  // namespace
}  // namespace portfire
