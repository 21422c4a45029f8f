#include "archive/size_condition.h"

#include <gtest/gtest.h>

#include "expect_error.h"

namespace portfire::exported {
namespace {

using test::expect_error;

const std::vector<std::string> kNames = {"x", "args_1", "n"};
const std::vector<InputSize> kSizes = {{.shape = {7, 4}}, {.shape = {3}}, {.shape = {}, .number = -5}};

bool holds(const std::string& text) { return SizeCondition(text, kNames).holds(kSizes); }

TEST(SizeCondition, IsPythonsArithmetic) {
  EXPECT_TRUE(holds("L['x'].size()[0] == 7"));
  EXPECT_FALSE(holds("L['x'].size()[0] == 8"));
  EXPECT_TRUE(holds("2 + 3*L['x'].size()[1] == 14"));
  EXPECT_TRUE(holds("(2 + 3)*L['x'].size()[1] == 20 and not L['args'][1].size()[0] > 3"));
  EXPECT_TRUE(holds("L['n'] // 2 == -3"));
  EXPECT_TRUE(holds("L['n'] % 3 == 1"));
  EXPECT_TRUE(holds("L['n'] // -1 == 5 and L['n'] % -1 == 0"));
  EXPECT_TRUE(holds("-2**2 == -4 and 2**3**2 == 512"));
  EXPECT_TRUE(holds("(-16) + max(32, min(9, L['x'].size()[0]), 3) // 2 >= 0"));
  EXPECT_TRUE(holds("Mod(L['x'].size()[0], 2) != 0 or 1 // 0 == 0"));
  EXPECT_TRUE(holds("7 - 2 - 1 == 4 and 64 // 4 // 2 == 8"));
  EXPECT_TRUE(holds("1 < 2 and 2 <= 2 and 3 > 2 and 2 >= 2"));
}

TEST(SizeCondition, DoesNotHoldWherePythonRaisesOr64BitsAreTooFew) {
  EXPECT_FALSE(holds("1 // (L['x'].size()[0] - 7) == 1"));
  EXPECT_FALSE(holds("1 % (L['x'].size()[0] - 7) == 0"));
  EXPECT_FALSE(holds("9223372036854775807 + L['x'].size()[0] > 0"));
  EXPECT_FALSE(holds("9223372036854775807 * 2 > 0"));
  EXPECT_FALSE(holds("(-9223372036854775807 - 1) // -1 != 1"));
  EXPECT_FALSE(holds("2**100 > 0"));
  EXPECT_FALSE(holds("L['x'].size()[5] == 1"));
}

TEST(SizeCondition, SaysItselfPlainly) {
  EXPECT_EQ(SizeCondition("L['x'].size()[0] % 3 == L['n']", kNames).text(), "x.size(0) % 3 == n");
}

TEST(SizeCondition, RefusesWhateverElse) {
  const std::string deep(300, '(');
  std::string chain = "1";
  for (int k = 0; k < 5000; ++k) chain += "+1";
  for (const std::string& text : {std::string(), std::string("1 =="), std::string("L['y'].size()[0] == 1"), std::string("L['x'].stride()[0] == 1"),
                                  std::string("open('f')"), std::string("1 == 1 1"), std::string("L['x"), std::string("99999999999999999999 > 1"),
                                  std::string("1.5 < 2"), std::string("Mod(3) == 3"), deep, chain}) {
    expect_error([&] { (void)SizeCondition(text, kNames); }, ErrorCode::kUnsupported, "on its sizes is not supported");
  }
}

}  // namespace
}  // namespace portfire::exported
