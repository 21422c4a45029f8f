#include "engine/torchscript/allow_list.h"

#include <ATen/TensorOperators.h>
#include <torch/library.h>

#include <filesystem>

#include "../archive/expect_error.h"
#include "engine/libtorch/allowed.h"
#include "scripted.h"

TORCH_LIBRARY(portfire_test, library) {
  library.def("twice", [](const at::Tensor& x) { return x * 2; });
}

namespace portfire {
namespace {

using libtorch::is_allowed;
using test::archive_of;
using test::expect_error;
using test::floats;
using test::Scripted;

constexpr auto kUntrusted = ErrorCode::kUntrustedPackage;

TEST(IsAllowed, OperatorsThatOnlyCompute) {
  for (const char* op : {"aten::conv2d", "aten::add_", "aten::softmax", "aten::__getitem__", "aten::_convolution", "prim::Constant",
                         "prim::If", "prim::ListConstruct", "prim::RaiseException", "quantized::conv2d", "prepacked::conv2d_clamp_run",
                         "portfire::anything"}) {
    EXPECT_TRUE(is_allowed(op)) << op;
  }
}

TEST(IsAllowed, NothingThatReachesBeyondItsTensors) {
  for (const char* op : {"aten::save", "aten::from_file", "aten::as_strided", "aten::as_strided_", "aten::as_strided_scatter",
                         "aten::set_", "aten::resize_", "aten::record_stream", "prim::PythonOp", "prim::Print", "prim::CallFunction",
                         "prim::CallMethod", "prim::rpc_async", "aten::_cufft_set_plan_cache_max_size", "aten::_foobar",
                         "aten::_sparse_coo_tensor_unsafe", "aten::sparse_coo_tensor", "aten::sparse_csr_tensor"}) {
    EXPECT_FALSE(is_allowed(op)) << op;
  }
}

TEST(IsAllowed, NoOtherNamespace) {
  for (const char* op : {"torchvision::nms", "cuda::set_stream", "c10d::send", "_c10d_functional::all_reduce", "onnx::Add", "aten", "",
                         "::", "atenx::add", "xaten::add", "ATEN::add", "profiler::_record_function_enter"}) {
    EXPECT_FALSE(is_allowed(op)) << op;
  }
}

/// Neither describe nor load takes it, and both name `op` and a line of source.
void expect_refused(const Archive& archive, const std::string& op) {
  const auto expect = [&](auto body) {
    try {
      body();
      ADD_FAILURE() << op << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), kUntrusted) << error.what();
      EXPECT_THAT(error.what(), testing::HasSubstr(": " + op)) << error.what();
      EXPECT_THAT(error.what(), testing::ContainsRegex(R"( is not on the list of operators that only compute \([A-Za-z_]+\.py:[0-9]+\); )"));
    }
  };
  expect([&] { (void)torchscript::describe(archive, {}); });
  for (const Optimization level : {Optimization::kNone, Optimization::kFreeze, Optimization::kFull}) {
    expect([&] { (void)torchscript::load(archive, {.device = {}, .optimization = level, .threads = 1, .allow_ops = {}}); });
  }
}

void expect_refused(const Scripted& scripted, const std::string& op) { expect_refused(archive_of(scripted), op); }

TEST(CheckOperators, RefusesEachByNameAndLine) {
  expect_refused({"def forward(self, x):\n  return torch.from_file(\"numbers.bin\", False, 4)\n"}, "aten::from_file");
  expect_refused({"def forward(self, x):\n  return x.as_strided([2], [1000])\n"}, "aten::as_strided");
  expect_refused({"def forward(self, x):\n  print(x)\n  return x\n"}, "prim::Print");
  expect_refused({"def forward(self, x):\n  return x.resize_([1000])\n"}, "aten::resize_");
  expect_refused({"def forward(self, x):\n  return x.set_(x)\n"}, "aten::set_");
}

TEST(CheckOperators, RefusesOtherNamespaces) {
  const Scripted plain{"def forward(self, x):\n  return torch.neg(x)\n"};
  expect_refused(test::edited(plain, "code/__torch__.py", "torch.neg(", "ops.portfire_test.twice("), "portfire_test::twice");
}

TEST(CheckOperators, RefusesCallsThroughAnInterface) { expect_refused(test::stored("interface.pt"), "prim::CallMethod"); }

/// Models that would write a file, if they were allowed to, each with the call in another place.
struct Writers : testing::Test {
  const std::string path = test::fresh_path("written-by-a-model.pt");
  const std::string save = "torch.save(x, \"" + path + "\")";

  void TearDown() override { std::filesystem::remove(path); }

  void expect_refused_and_nothing_written(const Archive& archive) const {
    expect_refused(archive, "aten::save");
    EXPECT_FALSE(std::filesystem::exists(path));
  }
  void expect_refused_and_nothing_written(const Scripted& scripted) const {
    expect_refused_and_nothing_written(archive_of(scripted));
  }
};

TEST_F(Writers, AreAbleToIfTheyAreAllowed) {  // so the tests below see what they look for
  const Tensor x = floats({1});
  const auto engine = test::engine_of(archive_of({"def forward(self, x):\n  " + save + "\n  return x\n"}), Optimization::kFreeze, {"aten::save"});
  EXPECT_FALSE(std::filesystem::exists(path));
  (void)engine->forward(std::span(&x, 1));
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(Writers, InForward) { expect_refused_and_nothing_written({"def forward(self, x):\n  " + save + "\n  return x\n"}); }

TEST_F(Writers, InPreprocessAlone) {
  expect_refused_and_nothing_written({"def forward(self, x):\n  return x\ndef preprocess(self, x):\n  " + save + "\n  return x\n"});
}

TEST_F(Writers, InAnIf) {
  expect_refused_and_nothing_written({"def forward(self, x):\n  if bool(x[0] > 100):\n    " + save + "\n  return x\n"});
}

TEST_F(Writers, InALoopWithinALoop) {
  expect_refused_and_nothing_written({"def forward(self, x):\n  for i in range(2):\n    while bool(x[0] > i):\n      " + save + "\n  return x\n"});
}

TEST_F(Writers, InASubmodule) {
  const Scripted inner{"def forward(self, x):\n  " + save + "\n  return x\n"};
  const Scripted middle{"def forward(self, x):\n  return self.inner.forward(x)\n", {}, {}, {{"inner", inner}}};
  expect_refused_and_nothing_written(Scripted{"def forward(self, x):\n  return self.middle.forward(x)\n", {}, {}, {{"middle", middle}}});
}

TEST_F(Writers, InAFork) {
  expect_refused(test::stored("fork.pt"), "aten::save");
  EXPECT_FALSE(std::filesystem::exists("portfire-written-by-a-model"));
}

TEST_F(Writers, InAFunctionThatAFunctionCalls) {
  expect_refused(test::stored("function_of_function.pt"), "aten::save");
  EXPECT_FALSE(std::filesystem::exists("portfire-written-by-a-model"));
}

TEST(CheckOperators, OpensOneOperatorByName) {
  const Archive archive = archive_of({"def forward(self, x):\n  return x.as_strided([2], [2])\n"});
  const auto engine = test::engine_of(archive, Optimization::kFreeze, {"aten::as_strided"});
  const Tensor x = floats({1, 2, 3});
  EXPECT_EQ(engine->forward(std::span(&x, 1)).at(0).contiguous(), floats({1, 3}));
  expect_error([&] { (void)test::engine_of(archive, Optimization::kFreeze, {"aten::save"}); }, kUntrusted, "aten::as_strided");
}

TEST(CheckOperators, OpensAnotherNamespaceOnlyOperatorByOperator) {
  const Archive archive = test::edited({"def forward(self, x):\n  return torch.neg(x)\n"}, "code/__torch__.py", "torch.neg(",
                                       "ops.portfire_test.twice(");
  const Tensor x = floats({1, 2});
  EXPECT_EQ(test::engine_of(archive, Optimization::kFreeze, {"portfire_test::twice"})->forward(std::span(&x, 1)).at(0), floats({2, 4}));
  expect_error([&] { (void)test::engine_of(archive, Optimization::kFreeze, {"portfire_test"}); }, kUntrusted, "portfire_test::twice");
}

TEST(CheckOperators, RefusesAnExponentialChain) {
  std::string methods = "def f0(self, x):\n  return x + 1\n";
  for (int k = 1; k <= 60; ++k) {
    const std::string below = "self.f" + std::to_string(k - 1);
    methods += "def f" + std::to_string(k) + "(self, x):\n  return " + below + "(" + below + "(x))\n";
  }
  const Archive archive = archive_of({methods + "def forward(self, x):\n  return self.f60(x)\n"});
  for (const Optimization level : {Optimization::kNone, Optimization::kFreeze}) {
    expect_error([&] { (void)test::engine_of(archive, level); }, kUntrusted, "more than 5000000 operations when their calls are written out");
  }
}

}  // namespace
}  // namespace portfire
