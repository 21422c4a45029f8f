#include "engine/graph/numbers.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "../archive/expect_error.h"

namespace portfire::graph {
namespace {

using c10::IValue;
using test::expect_error;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

IValue call(std::string_view target, const std::vector<IValue>& arguments) {
  return find_number_function(target, arguments.size())(arguments);
}

std::int64_t whole(std::string_view target, std::int64_t a, std::int64_t b) { return call(target, {a, b}).toInt(); }

TEST(NumberFunction, IsFoundByNameAndCount) {
  EXPECT_NE(find_number_function("_operator.mul", 2), nullptr);
  EXPECT_EQ(find_number_function("_operator.mul", 3), nullptr);
  EXPECT_EQ(find_number_function("os.system", 1), nullptr);
}

TEST(NumberFunction, RoundsDownAsPythonDoes) {
  EXPECT_EQ(whole("_operator.floordiv", 7, 2), 3);
  EXPECT_EQ(whole("_operator.floordiv", -7, 2), -4);
  EXPECT_EQ(whole("_operator.floordiv", 7, -2), -4);
  EXPECT_EQ(whole("_operator.floordiv", -6, 2), -3);
  EXPECT_EQ(whole("_operator.mod", -7, 2), 1);
  EXPECT_EQ(whole("_operator.mod", 7, -2), -1);
  EXPECT_EQ(whole("_operator.mod", 6, 3), 0);
  EXPECT_EQ(call("_operator.floordiv", {7.5, std::int64_t{2}}).toDouble(), 3.0);
  EXPECT_EQ(call("_operator.truediv", {std::int64_t{7}, std::int64_t{2}}).toDouble(), 3.5);
  EXPECT_EQ(whole("_operator.pow", 3, 4), 81);
}

TEST(NumberFunction, KeepsWholeNumbersWholeAndTakesPartsAlong) {
  EXPECT_TRUE(call("_operator.add", {std::int64_t{1}, std::int64_t{2}}).isInt());
  EXPECT_EQ(call("_operator.mul", {std::int64_t{3}, 0.5}).toDouble(), 1.5);
  EXPECT_EQ(call("math.ceil", {1.2}).toInt(), 2);
  EXPECT_EQ(call("math.trunc", {-1.8}).toInt(), -1);
  EXPECT_EQ(call("torch.sym_max", {std::int64_t{3}, std::int64_t{9}}).toInt(), 9);
  EXPECT_EQ(call("torch.sym_ite", {false, std::int64_t{3}, std::int64_t{9}}).toInt(), 9);
  EXPECT_TRUE(call("_operator.lt", {std::int64_t{3}, 3.5}).toBool());
  EXPECT_FALSE(call("torch.sym_not", {true}).toBool());
}

TEST(NumberFunction, RefusesWhatIsNoNumber) {
  constexpr auto kInvalid = ErrorCode::kInvalidInput;
  for (const std::string_view target : {"_operator.floordiv", "_operator.truediv", "_operator.mod"}) {
    expect_error([&] { (void)whole(target, 1, 0); }, kInvalid, "divided by zero");
  }
  expect_error([] { (void)whole("_operator.add", kMost, 1); }, kInvalid, "64 bits");
  expect_error([] { (void)whole("_operator.sub", kLeast, 1); }, kInvalid, "64 bits");
  expect_error([] { (void)whole("_operator.mul", kMost, 2); }, kInvalid, "64 bits");
  expect_error([] { (void)whole("_operator.floordiv", kLeast, -1); }, kInvalid, "64 bits");
  expect_error([] { (void)whole("_operator.pow", 10, 30); }, kInvalid, "64 bits");
  expect_error([] { (void)call("math.floor", {std::numeric_limits<double>::quiet_NaN()}); }, kInvalid, "64 bits");
  EXPECT_EQ(whole("_operator.mod", kLeast, -1), 0);
}

}  // namespace
}  // namespace portfire::graph
