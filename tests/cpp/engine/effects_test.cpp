#include "engine/torchscript/effects.h"

#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include "engine/torchscript/read.h"
#include "scripted.h"

namespace portfire::torchscript {
namespace {

using test::Scripted;

Effects effects(const std::string& body) {
  const Scripted scripted{"def forward(self, x):\n  " + body + "\n", {}, {{"b", test::floats({0})}}, {}, {"list"}};
  const torch::jit::Module module = read_module(test::archive_of(scripted));
  return effects_of(module.get_method("forward").function());
}

TEST(EffectsOf, AComputationHasNone) {
  for (const char* body : {"return torch.relu(x + self.b)", "return (x + 1).relu_()", "y = x + 1\n  y[0] = 2\n  return y",
                           "ys = [x, x + 1]\n  ys.append(x)\n  return torch.stack(ys)", "return x"}) {
    EXPECT_FALSE(effects(body).writes_module) << body;
    EXPECT_FALSE(effects(body).writes_inputs) << body;
  }
}

TEST(EffectsOf, AWriteToAnArgumentIsSeen) {
  for (const char* body : {"return x.add_(1)", "return x.view([1]).add_(1)", "x[0] = 1\n  return x",
                           "if bool(x[0] > 0):\n    x.add_(1)\n  return x", "ys = [x]\n  ys[0].add_(1)\n  return x"}) {
    EXPECT_TRUE(effects(body).writes_inputs) << body;
  }
}

TEST(EffectsOf, AWriteToTheModuleIsSeen) {
  for (const char* body : {"self.b = x\n  return x", "self.b.add_(1)\n  return x", "self.b[0] = 1\n  return x",
                           "self.list.append(x)\n  return x", "self.list[0].add_(1)\n  return x",
                           "for y in self.list:\n    y.view([1]).add_(1)\n  return x"}) {
    EXPECT_TRUE(effects(body).writes_module) << body;
  }
}

// A module that waits for itself would run on one thread only.
TEST(EffectsOf, ABatchNormInEvaluationModeHasNoneOnceItIsFrozen) {
  torch::jit::Module module = read_module(test::stored("cnn.pt"));
  module = torch::jit::freeze(module);
  EXPECT_FALSE(effects_of(module.get_method("forward").function()).writes_module);
}

}  // namespace
}  // namespace portfire::torchscript
