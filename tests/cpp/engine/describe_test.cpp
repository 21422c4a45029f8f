#include "engine/torchscript/describe.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scripted.h"

namespace portfire {
namespace {

using test::archive_of;
using test::Scripted;
using testing::ElementsAre;
using testing::SizeIs;
using torchscript::describe;

const MethodInfo& find(const ProgramInfo& program, const std::string& name) {
  for (const MethodInfo& method : program.methods) {
    if (method.name == name) return method;
  }
  throw std::runtime_error("no method " + name);
}

TEST(Describe, TellsMethodsAndTheirSignatures) {
  const auto program = describe(archive_of({"def forward(self, x, scale: float = 2.0, mask: Optional[Tensor] = None):\n  return x * scale, 3\n"
                                            "def preprocess(self, image):\n  return image\n"}), {});
  ASSERT_THAT(program.methods, SizeIs(2));
  const MethodInfo& forward = find(program, "forward");
  ASSERT_THAT(forward.arguments, SizeIs(3));
  EXPECT_EQ(forward.arguments[0].name, "x");
  EXPECT_EQ(forward.arguments[0].type, "Tensor");
  EXPECT_EQ(forward.arguments[1].name, "scale");
  EXPECT_EQ(forward.arguments[1].type, "float");
  EXPECT_EQ(forward.arguments[2].type, "Optional[Tensor]");
  EXPECT_EQ(forward.returns, "Tuple[Tensor, int]");
  EXPECT_EQ(find(program, "preprocess").returns, "Tensor");
}

TEST(Describe, ListsOperatorsSortedAndOnceWithThoseOfWhatIsCalled) {
  const Scripted inner{"def forward(self, x):\n  return torch.relu(x)\n"};
  const auto program = describe(archive_of({"def forward(self, x):\n  return torch.sigmoid(torch.sigmoid(self.inner.forward(x)))\n", {}, {}, {{"inner", inner}}}), {});
  EXPECT_THAT(find(program, "forward").operators, ElementsAre("aten::relu", "aten::sigmoid", "prim::GetAttr"));
}

TEST(Describe, CountsParametersAndTheirBytes) {
  const auto program = describe(archive_of({"def forward(self, x):\n  return x + self.w\n",
                                            {{"w", Tensor::zeros(DType::kFloat32, {3, 4})}, {"v", Tensor::zeros(DType::kFloat64, {5})}},
                                            {{"steps", Tensor::zeros(DType::kInt64, {7})}}}), {});
  EXPECT_EQ(program.parameters, 17);
  EXPECT_EQ(program.parameter_bytes, 12 * 4 + 5 * 8);
}

TEST(Describe, CountsTheConstantsOfAFrozenModel) {
  const auto whole = describe(test::stored("cnn.pt"), {});
  const auto frozen = describe(test::stored("frozen_linear.pt"), {});
  EXPECT_GT(whole.parameters, 0);
  EXPECT_EQ(frozen.parameters, 3 * 2 + 2);
  EXPECT_EQ(frozen.parameter_bytes, 8 * 4);
}

TEST(Describe, NeverRunsTheModel) {
  const std::string path = test::fresh_path("described.pt");
  const std::string save = "  torch.save(x, \"" + path + "\")\n";
  const Archive archive = archive_of({"def forward(self, x):\n" + save + "  assert bool(x[0] > 0), \"was run\"\n  return x\n"
                                      "def preprocess(self, x):\n" + save + "  return x\n"});
  EXPECT_NO_THROW((void)describe(archive, {"aten::save"}));
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace portfire
