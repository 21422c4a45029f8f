// What a method may give, and how its outputs are named.
#include "scripted.h"

#include <gtest/gtest.h>

namespace portfire {
namespace {

using test::engine_of;
using test::floats;

std::vector<NamedTensor> call(const std::string& methods) {
  const Tensor x = floats({1, 2});
  return engine_of(test::Scripted{methods})->call("forward", std::span(&x, 1));
}

using Named = std::vector<NamedTensor>;

TEST(Outputs, OneTensorIsCalledOutput) {
  EXPECT_EQ(call("def forward(self, x):\n  return x + 1\n"), (Named{{"output", floats({2, 3})}}));
}

TEST(Outputs, ATuplesElementsAreNumbered) {
  EXPECT_EQ(call("def forward(self, x):\n  return x + 1, x * 2\n"),
            (Named{{"output_0", floats({2, 3})}, {"output_1", floats({2, 4})}}));
}

TEST(Outputs, NestedTuplesAreFlattenedInOrder) {
  EXPECT_EQ(call("def forward(self, x):\n  return x, (x + 1, x * 2)\n"),
            (Named{{"output_0", floats({1, 2})}, {"output_1_0", floats({2, 3})}, {"output_1_1", floats({2, 4})}}));
}

TEST(Outputs, AListsElementsAreNumbered) {
  EXPECT_EQ(call("def forward(self, x):\n  return [x, x + 1]\n"),
            (Named{{"output_0", floats({1, 2})}, {"output_1", floats({2, 3})}}));
}

TEST(Outputs, ADictionarysAreCalledByKey) {
  EXPECT_EQ(call("def forward(self, x):\n  return {\"boxes\": x, \"scores\": x * 2}\n"),
            (Named{{"boxes", floats({1, 2})}, {"scores", floats({2, 4})}}));
  EXPECT_EQ(call("def forward(self, x):\n  return {7: x}\n"), (Named{{"output_7", floats({1, 2})}}));
}

TEST(Outputs, ANamedTuplesAreCalledByField) {
  const Tensor x = floats({3, 4});
  EXPECT_EQ(engine_of(test::stored("point.pt"))->call("forward", std::span(&x, 1)),
            (Named{{"sum", Tensor::copy_of(std::vector<float>{7}, {})}, {"twice", floats({6, 8})}}));
}

TEST(Outputs, NumbersBecomeTensorsWithoutAxes) {
  const bool yes[] = {true};
  EXPECT_EQ(call("def forward(self, x):\n  return 3, 0.5, True\n"),
            (Named{{"output_0", test::scalar(std::int64_t{3})},
                   {"output_1", Tensor::copy_of(std::vector<double>{0.5}, {})},
                   {"output_2", Tensor::copy_of<bool>(yes, {})}}));
}

TEST(Outputs, NoneIsNoOutput) {
  EXPECT_TRUE(call("def forward(self, x):\n  return None\n").empty());
  EXPECT_EQ(call("def forward(self, x):\n  return x, None\n"), (Named{{"output_0", floats({1, 2})}}));
}

TEST(Outputs, ForwardGivesTheSameWithoutNames) {
  const Tensor x = floats({1, 2});
  const auto engine = engine_of(test::Scripted{"def forward(self, x):\n  return x + 1, {\"a\": x}\n"});
  EXPECT_EQ(engine->forward(std::span(&x, 1)), (std::vector<Tensor>{floats({2, 3}), floats({1, 2})}));
}

}  // namespace
}  // namespace portfire
