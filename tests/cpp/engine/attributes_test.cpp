#include "engine/torchscript/attributes.h"

#include <gtest/gtest.h>

#include "../archive/expect_error.h"
#include "engine/torchscript/torchscript.h"
#include "scripted.h"

namespace portfire::torchscript {
namespace {

using test::edited;
using test::expect_error;
using test::Scripted;

constexpr auto kUntrusted = ErrorCode::kUntrustedPackage;
const std::string kCode = "code/__torch__.py";

const Scripted kLeaf{"def forward(self, x):\n  return x + self.w\n", {{"w", test::scalar(1.0F)}}};
const Scripted kTwo{"def forward(self, x):\n  return self.first.forward(x) + self.second.forward(x)\n",
                    {},
                    {},
                    {{"first", kLeaf}, {"second", Scripted{"def forward(self, x):\n  return torch.neg(x)\n"}}}};

void expect_refused(const Archive& archive, const std::string& part) {
  expect_error([&] { (void)describe(archive, {}); }, kUntrusted, part);
}

TEST(CheckAttributes, LetsWhatIsAsDeclaredPass) {
  const Tensor x = test::floats({1});
  EXPECT_EQ(test::engine_of(kTwo)->forward(std::span(&x, 1)).at(0), test::floats({1}));
}

TEST(CheckAttributes, RefusesAnObjectOfAnotherClassThanDeclared) {
  // The value of `second` has fewer attributes than the class that the code now reads it as.
  expect_refused(edited(kTwo, kCode, "second : __torch__.Model_second", "second : __torch__.Model_first"),
                 "refused: __torch__.Model.second is declared as \"__torch__.Model_first\", but the file holds a \"__torch__.Model_second\"");
}

TEST(CheckAttributes, RefusesAValueOfAnotherKindThanDeclared) {
  expect_refused(edited(kLeaf, kCode, "training : bool", "training : int"), "training is declared as \"int\", but the file holds a \"bool\"");
  expect_refused(edited(kLeaf, kCode, "training : bool", "training : Tuple[int, int]"), "training is declared as");
  expect_refused(edited(kLeaf, kCode, "training : bool", "training : List[int]"), "training is declared as");
  expect_refused(edited(kLeaf, kCode, "training : bool", "training : Dict[str, Tensor]"), "training is declared as");
}

TEST(CheckAttributes, TakesAnythingWhereAnythingIsDeclared) {
  EXPECT_EQ(describe(edited(kLeaf, kCode, "training : bool", "training : Optional[bool]"), {}).methods.size(), 1U);
  EXPECT_EQ(describe(edited(kLeaf, kCode, "training : bool", "training : Any"), {}).methods.size(), 1U);
}

TEST(IsSafeCast, LetsOnlyNoneBeHidden) {
  const auto tensor = c10::TensorType::get();
  const auto any = c10::AnyType::get();
  const auto pair = c10::TupleType::create({tensor, tensor});
  const auto object = c10::ClassType::create(c10::QualifiedName("__torch__.A"), std::make_shared<c10::CompilationUnit>());
  EXPECT_TRUE(is_safe_cast(any, tensor));
  EXPECT_TRUE(is_safe_cast(any, c10::ListType::ofTensors()));
  EXPECT_TRUE(is_safe_cast(c10::OptionalType::create(pair), pair));
  EXPECT_TRUE(is_safe_cast(c10::OptionalType::create(object), object));
  EXPECT_TRUE(is_safe_cast(object, object));
  EXPECT_FALSE(is_safe_cast(any, pair));
  EXPECT_FALSE(is_safe_cast(any, object));
  EXPECT_FALSE(is_safe_cast(any, c10::ListType::create(pair)));
  EXPECT_FALSE(is_safe_cast(c10::UnionType::create({pair, tensor}), pair));
}

TEST(IsSafeCast, IsAskedForEveryCastInTheCode) {
  const Archive archive = edited(kTwo, kCode, "(second).forward(", "(unchecked_cast(__torch__.Model_first, second)).forward(");
  expect_refused(archive, "prim::unchecked_cast from \"__torch__.Model_second\" to \"__torch__.Model_first\"");
}

}  // namespace
}  // namespace portfire::torchscript
