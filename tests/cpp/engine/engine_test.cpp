#include "engine/torchscript/torchscript.h"

#include <cstring>

#include "../archive/expect_error.h"
#include "scripted.h"

namespace portfire {
namespace {

using test::archive_of;
using test::engine_of;
using test::expect_error;
using test::floats;
using test::scalar;
using test::Scripted;

constexpr auto kInvalid = ErrorCode::kInvalidInput;

Tensor forward(const Engine& engine, const std::vector<Tensor>& inputs) { return engine.forward(inputs).at(0); }

Scripted method(const std::string& signature, const std::string& body) {
  return {"def forward(self" + signature + "):\n  " + body + "\n"};
}

const Scripted kIdentity = method(", x", "return x");

TEST(TorchScriptEngine, CopiesNothingOnTheWayInAndOut) {
  const Tensor x = floats({1, 2, 3});
  for (const Optimization level : {Optimization::kNone, Optimization::kFreeze, Optimization::kFull}) {
    EXPECT_EQ(forward(*engine_of(kIdentity, level), {x}).data(), x.data());
  }
}

TEST(TorchScriptEngine, TakesStridedInputs) {
  std::vector<float> memory{1, 9, 2, 9, 3, 9};
  const Tensor strided = Tensor::external({.data = memory.data(), .shape = {3}, .strides = {2}});
  EXPECT_EQ(forward(*engine_of(method(", x", "return x * 2")), {strided}), floats({2, 4, 6}));
}

TEST(TorchScriptEngine, TakesEmptyInputs) {
  const Tensor nothing = Tensor::zeros(DType::kFloat32, {0, 4});
  EXPECT_EQ(forward(*engine_of(method(", x", "return x * 2")), {nothing}).shape(), (Dims{0, 4}));
}

TEST(TorchScriptEngine, GivesNumbersToArgumentsThatAreNumbers) {
  const auto engine = engine_of(method(", x, n: int, f: float, b: bool", "return x * n + f if b else x"));
  const bool yes[] = {true};
  const bool no[] = {false};
  const Tensor x = floats({1, 2});
  EXPECT_EQ(forward(*engine, {x, scalar(std::int64_t{3}), scalar(0.5F), Tensor::copy_of<bool>(yes, {})}), floats({3.5F, 6.5F}));
  EXPECT_EQ(forward(*engine, {x, scalar(std::int64_t{3}), scalar(0.5F), Tensor::copy_of<bool>(no, {})}), x);
}

TEST(TorchScriptEngine, GivesATensorWithoutAxesToAnArgumentThatIsATensor) {
  EXPECT_EQ(forward(*engine_of(method(", x", "return x + 1")), {scalar(1.5F)}), scalar(2.5F));
}

TEST(TorchScriptEngine, FillsDefaults) {
  const auto engine = engine_of(method(", x, scale: float = 2.0, shift: int = 1", "return x * scale + shift"));
  EXPECT_EQ(forward(*engine, {floats({1, 2})}), floats({3, 5}));
  EXPECT_EQ(forward(*engine, {floats({1, 2}), scalar(3.0F)}), floats({4, 7}));
}

TEST(TorchScriptEngine, NamesTheArgumentsWhenTheNumberIsWrong) {
  const auto engine = engine_of(method(", a, b, c: int = 1", "return a + b"));
  const Tensor x = floats({1});
  expect_error([&] { (void)forward(*engine, {x}); }, kInvalid, "model.pt: forward: 1 inputs; it takes 3 (a, b, c)");
  expect_error([&] { (void)forward(*engine, {x, x, scalar(std::int64_t{1}), x}); }, kInvalid, "4 inputs; it takes 3 (a, b, c)");
}

TEST(TorchScriptEngine, RefusesATensorWhereSomethingElseIsTaken) {
  const Tensor x = floats({1, 2});
  for (const char* type : {"int", "float", "bool", "str", "List[Tensor]", "List[int]", "Dict[str, Tensor]", "Tuple[Tensor, Tensor]",
                           "Optional[int]", "Optional[float]"}) {
    const auto engine = engine_of(method(std::string(", a: ") + type, "return a"));
    expect_error([&] { (void)forward(*engine, {x}); }, kInvalid, std::string("model.pt: forward: a: float32 [2] cpu was given; ") + type + " is taken");
  }
}

TEST(TorchScriptEngine, GivesNumbersAndTensorsToOptionalArguments) {
  const auto engine = engine_of(method(", x, n: Optional[int] = None, y: Optional[Tensor] = None",
                                       "z = x if y is None else x + y\n  return z if n is None else z * n"));
  EXPECT_EQ(forward(*engine, {floats({1, 2})}), floats({1, 2}));
  EXPECT_EQ(forward(*engine, {floats({1, 2}), scalar(std::int64_t{3})}), floats({3, 6}));
  EXPECT_EQ(forward(*engine, {floats({1, 2}), scalar(std::int64_t{3}), floats({1, 1})}), floats({6, 9}));
}

TEST(TorchScriptEngine, RefusesANumberOfAnotherKind) {
  const auto engine = engine_of(method(", x, n: int", "return x * n"));
  expect_error([&] { (void)forward(*engine, {floats({1}), scalar(1.5F)}); }, kInvalid, "model.pt: forward: n: float32 [] cpu was given; int is taken");
}

TEST(TorchScriptEngine, TurnsAnExceptionIntoItsMessage) {
  const auto engine = engine_of(test::stored("picky.pt"));
  EXPECT_NO_THROW((void)forward(*engine, {floats({1})}));
  try {
    (void)forward(*engine, {floats({1, 2})});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), kInvalid);
    EXPECT_EQ(error.what(), test::kModels + "/picky.pt: forward: one row, please");
  }
}

TEST(TorchScriptEngine, TurnsAFailedOperatorIntoOneLine) {
  const Scripted inner{"def forward(self, x):\n  return torch.matmul(x, torch.ones([3, 3]))\n"};
  const Scripted outer{"def forward(self, x):\n  return self.inner.forward(x) + 1\n", {}, {}, {{"inner", inner}}};
  for (const Optimization level : {Optimization::kNone, Optimization::kFreeze, Optimization::kFull}) {
    try {
      (void)forward(*engine_of(outer, level), {Tensor::zeros(DType::kFloat32, {2, 4})});
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), kInvalid);
      EXPECT_STREQ(error.what(), "model.pt: forward: mat1 and mat2 shapes cannot be multiplied (2x4 and 3x3)");
    }
  }
}

TEST(TorchScriptEngine, TellsWhenMemoryRunsOut) {
  const auto engine = engine_of(method(", x", "return x + torch.ones([1000000, 1000000, 1000])"));
  expect_error([&] { (void)forward(*engine, {scalar(1.0F)}); }, ErrorCode::kResourceExhausted, "model.pt: forward: ");
}

TEST(TorchScriptEngine, SaysWhichMethodIsMissing) {
  const auto engine = engine_of(Scripted{"def encode(self, x):\n  return x\n"});
  EXPECT_TRUE(engine->has_method("encode"));
  EXPECT_FALSE(engine->has_method("forward"));
  expect_error([&] { (void)forward(*engine, {floats({1})}); }, ErrorCode::kUnsupported, "model.pt: it has no method forward");
  expect_error([&] { (void)engine->call("decode", {}); }, ErrorCode::kUnsupported, "model.pt: it has no method decode");
}

// Three stages around a convolution and a batch norm, as an image classifier has them.
class Optimized : public testing::TestWithParam<Optimization> {};

TEST_P(Optimized, ComputesWhatPythonComputed) {
  const Archive archive = test::stored("cnn.pt");
  const LoadedEngine loaded =
      torchscript::load(archive, {.device = {}, .optimization = GetParam(), .threads = 1, .allow_ops = {}});
  EXPECT_EQ(loaded.applied, GetParam()) << loaded.reason;
  EXPECT_EQ(loaded.reason, "");
  const Tensor picture = loaded.engine->call("picture", {}).at(0).tensor;
  const Tensor expected = loaded.engine->call("expected", {}).at(0).tensor;
  const Tensor prepared = loaded.engine->call("preprocess", std::span(&picture, 1)).at(0).tensor;
  const Tensor logits = forward(*loaded.engine, {loaded.engine->stack(std::span(&prepared, 1))}).contiguous();
  ASSERT_EQ(logits.shape(), expected.shape());
  for (std::size_t k = 0; k < 10; ++k) EXPECT_NEAR(logits.values<float>()[k], expected.contiguous().values<float>()[k], 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Levels, Optimized, testing::Values(Optimization::kNone, Optimization::kFreeze, Optimization::kFull));

TEST(TorchScriptEngine, RunsAFileFromTheTracer) {
  EXPECT_EQ(forward(*engine_of(test::stored("traced.pt")), {floats({1, 2})}), floats({3, 5}));
}

TEST(TorchScriptEngine, NeverWritesIntoItsInputs) {
  const Tensor x = floats({1, 2});
  for (const char* body : {"return x.add_(1)", "y = x.view([2])\n  y += 1\n  return y", "x[0] = 9\n  return x",
                           "return torch.relu_(x.detach()).sub_(1)"}) {
    for (const Optimization level : {Optimization::kNone, Optimization::kFreeze, Optimization::kFull}) {
      (void)forward(*engine_of(method(", x", body), level), {x});
      EXPECT_EQ(x, floats({1, 2})) << body;
    }
  }
}

TEST(TorchScriptEngine, StacksSamples) {
  const auto engine = engine_of(kIdentity);
  const std::vector<Tensor> two{floats({1, 2}), floats({3, 4})};
  EXPECT_EQ(engine->stack(two), Tensor::copy_of(std::vector<float>{1, 2, 3, 4}, {2, 2}));
  const Tensor one = engine->stack(std::span(two).first(1));
  EXPECT_EQ(one.shape(), (Dims{1, 2}));
  EXPECT_EQ(one.data(), two[0].data());
}

Tensor picture(std::int64_t height, std::int64_t width) {
  Tensor image = Tensor::zeros(DType::kUInt8, {height, width, 3});
  for (std::int64_t k = 0; k < image.numel(); ++k) static_cast<std::uint8_t*>(image.mutable_data())[k] = static_cast<std::uint8_t>(k);
  return image;
}

TEST(ImageTensor, PutsChannelsFirstAndScales) {
  const Tensor tensor = engine_of(kIdentity)->image_tensor(picture(1, 2), {.scale = 1});
  EXPECT_EQ(tensor, Tensor::copy_of(std::vector<float>{0, 3, 1, 4, 2, 5}, {1, 3, 1, 2}));
}

TEST(ImageTensor, NormalisesByChannel) {
  const Tensor tensor = engine_of(kIdentity)->image_tensor(picture(1, 1), {.scale = 2, .mean = {0, 1, 2}, .deviation = {1, 1, 2}});
  EXPECT_EQ(tensor, Tensor::copy_of(std::vector<float>{0, 1, 1}, {1, 3, 1, 1}));
}

TEST(ImageTensor, WeighsChannelsToLuminance) {
  const Tensor tensor = engine_of(kIdentity)->image_tensor(picture(1, 1), {.channels = 1, .scale = 1});
  ASSERT_EQ(tensor.shape(), (Dims{1, 1, 1, 1}));
  EXPECT_NEAR(tensor.values<float>()[0], 0.587 + 2 * 0.114, 1e-6);
}

TEST(ImageTensor, Resizes) {
  EXPECT_EQ(engine_of(kIdentity)->image_tensor(picture(4, 6), {.height = 2, .width = 3}).shape(), (Dims{1, 3, 2, 3}));
}

TEST(ImageTensor, RefusesOptionsThatMakeNoSense) {
  const auto engine = engine_of(kIdentity);
  const auto refuse = [&](const ImageTensorOptions& options, const std::string& message) {
    expect_error([&] { (void)engine->image_tensor(picture(2, 2), options); }, ErrorCode::kInvalidArgument, message);
  };
  refuse({.channels = 4}, "channels is 4; 1 or 3");
  refuse({.height = 8}, "image size 8 x 0; give height and width, or neither");
  refuse({.height = -8, .width = 8}, "image size -8 x 8");
  refuse({.mean = {0, 1}}, "mean has 2 values; one, or one for each of 3 channels");
  refuse({.deviation = {1, 0, 1}}, "deviation is 0; pixels are divided by it");
}

TEST(TorchScriptEngine, RefusesADeviceThatIsNotThere) {
  if (torchscript::cuda_available()) GTEST_SKIP() << "a CUDA device answers";
  const Archive archive = archive_of(kIdentity);
  expect_error([&] { (void)torchscript::load(archive, {.device = Device::parse("cuda"), .allow_ops = {}}); }, ErrorCode::kUnsupported,
               "device cuda:0 is not there: this LibTorch finds no CUDA device; use cpu");
}

}  // namespace
}  // namespace portfire
