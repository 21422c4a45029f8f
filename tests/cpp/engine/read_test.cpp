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

}  // namespace
}  // namespace portfire
