#include "engine/torchscript/read.h"

#include "../archive/expect_error.h"
#include "../archive/raw_zip.h"
#include "scripted.h"

namespace portfire {
namespace {

using test::edited;
using test::expect_error;
using test::record;
using test::Scripted;

constexpr auto kInvalid = ErrorCode::kInvalidPackage;

const Scripted kPlain{"def forward(self, x):\n  return torch.neg(x)\n"};
const std::string kCode = "code/__torch__.py";

void expect_unreadable(const Archive& archive, const std::string& part) {
  expect_error([&] { (void)torchscript::describe(archive, {}); }, kInvalid, "model.pt: LibTorch cannot read it: " + part);
}

TEST(ReadModule, ReadsWhatLibTorchWrote) {
  const torch::jit::Module module = torchscript::read_module(test::archive_of(kPlain));
  EXPECT_TRUE(module.find_method("forward").has_value());
  EXPECT_FALSE(module.is_training());
}

TEST(ReadModule, ReadsAnArchiveThatWasPutTogetherAgain) {
  const Tensor x = test::floats({1});
  const auto engine = test::engine_of(edited(kPlain, kCode, "torch.neg(", "torch.exp2("));
  EXPECT_EQ(engine->forward(std::span(&x, 1)).at(0), test::floats({2}));
}

TEST(ReadModule, SaysWhatIsWrongWithDamagedCodeInOneLine) {
  expect_unreadable(edited(kPlain, kCode, "return", "retrun"), "");
  expect_unreadable(edited(kPlain, kCode, "torch.neg(", "torch.no_such_operator("), "");
  expect_unreadable(edited(kPlain, kCode, "torch.neg(", "ops.nowhere.twice("), "");
  expect_unreadable(edited(kPlain, kCode, "class Model", "class Other"), "");
  expect_unreadable(edited(kPlain, kCode, "def forward(", "def forward(((("), "");
}

TEST(ReadModule, SaysThatThePickleIsDamaged) {
  expect_error([] { (void)torchscript::describe(edited(kPlain, "data.pkl", "Model", "Modal"), {}); }, kInvalid, "model.pt: LibTorch cannot read it: ");
}

TEST(ReadModule, SaysThatARecordIsMissing) {
  const Archive archive = test::archive_of(kPlain);
  for (const std::string missing : {"data.pkl", "constants.pkl", "version"}) {
    test::RawZip zip;
    for (const ArchiveEntry& entry : archive.entries()) {
      if (entry.name == missing || entry.name == ".data/" + missing) continue;
      zip.entries.push_back(record(archive.root() + "/" + entry.name, test::text_of(archive.read(entry.name))));
    }
    expect_error([&] { (void)torchscript::describe(Archive::from_bytes(zip.bytes(), "model.pt"), {}); }, kInvalid, "model.pt: LibTorch cannot read it: ");
  }
}

// Each of these runs over an ordinary stack in LibTorch's reader.
Archive with_expression(const std::string& expression) { return edited(kPlain, kCode, "torch.neg(x)", expression); }

std::string times(int count, const std::string& text) {
  std::string all;
  for (int k = 0; k < count; ++k) all += text;
  return all;
}

TEST(DeepCode, OfLongExpressionsIsRead) {
  EXPECT_NO_THROW((void)torchscript::describe(with_expression(times(10'000, "-") + "x"), {}));
  EXPECT_NO_THROW((void)torchscript::describe(with_expression("x" + times(10'000, "+x")), {}));
  EXPECT_NO_THROW((void)torchscript::describe(edited(kPlain, kCode, "    return", times(300'000, "\n") + "    return"), {}));
  expect_unreadable(with_expression("x" + times(30'000, ".y")), "");
}

TEST(DeepCode, OfBlocksIsRefused) {
  const auto refuse = [](const Archive& archive) {
    expect_error([&] { (void)torchscript::describe(archive, {}); }, ErrorCode::kUntrustedPackage,
                 "model.pt: more than 200 calls and blocks within each other");
  };
  refuse(with_expression(times(300, "torch.neg(x) if bool(x) else ") + "x"));
  const std::string body = "bool(x):\n      y = torch.neg(x)\n";
  refuse(edited(kPlain, kCode, "    return torch.neg(x)",
                "    if " + body + times(3'000, "    elif " + body) + "    else:\n      y = x\n    return y"));
}

TEST(DeepCode, OfCallsIsRefused) {
  const std::string head = "(self: __torch__.Model,\n    x: Tensor) -> Tensor:\n    return ";
  std::string methods = "self.f0(x)\n";
  for (int k = 0; k < 10'000; ++k) methods += "  def f" + std::to_string(k) + head + "self.f" + std::to_string(k + 1) + "(x)\n";
  methods += "  def f10000" + head + "x\n";
  expect_error([&] { (void)torchscript::describe(edited(kPlain, kCode, "torch.neg(x)\n", methods), {}); }, ErrorCode::kUntrustedPackage,
               "model.pt: more than 200 calls and blocks within each other");
}

}  // namespace
}  // namespace portfire
