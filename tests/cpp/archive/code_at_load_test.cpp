#include "archive/archive.h"
#include "expect_error.h"
#include "raw_zip.h"

namespace portfire {
namespace {

using test::expect_error;
using test::RawZip;
using test::record;

void check(const RawZip& zip) { refuse_code_at_load(Archive::from_bytes(zip.bytes(), "m.pt")); }
void expect_refused(const RawZip& zip, const std::string& part) {
  expect_error([&] { check(zip); }, ErrorCode::kUntrustedPackage, part);
}

const std::string kEmptyTuple = "\x80\x02).";

RawZip with_code(const std::string& name, const std::string& code) {
  return {.entries = {record("m/data.pkl", kEmptyTuple), record("m/constants.pkl", kEmptyTuple), record(name, code)}};
}

TEST(CodeAtLoad, AllowsWhatTorchWrites) {
  refuse_code_at_load(Archive::open(PORTFIRE_TEST_DATA "/packages/linear.pt"));
}

TEST(CodeAtLoad, RefusesStateMethodsWithRecordAndLine) {
  const std::string code = "class Net(Module):\n  x : Tensor\n  def __setstate__(self, s: int) -> None:\n    pass\n";
  expect_refused(with_code("m/code/__torch__.py", code), "m.pt: refused: code/__torch__.py:3: __setstate__ runs while");
  expect_refused(with_code("m/code/a/b/c.py", "class A:\n  def __getstate__(self):\n"), "code/a/b/c.py:2: __getstate__");
}

TEST(CodeAtLoad, LooksAtEveryRecordOfTheCodeFolder) {
  expect_refused(with_code("m/code/__torch__.txt", "__setstate__"), "code/__torch__.txt:1");
  expect_refused(with_code("m/CODE/__torch__.PY", "__setstate__"), "CODE/__torch__.PY:1");  // LibTorch finds it
  check(with_code("m/extra/notes.txt", "__setstate__"));
}

TEST(CodeAtLoad, ReadsCompressedCode) {
  RawZip zip = with_code("m/code/__torch__.py", std::string(200, '\n') + "__setstate__");
  zip.entries.back().deflate = true;
  expect_refused(zip, "code/__torch__.py:201");
}

TEST(CodeAtLoad, RefusesCodeThatWouldOverrunTheParsersStack) {
  const auto nested = [](std::size_t depth) { return "def f(x):\n  return " + std::string(depth, '(') + "x" + std::string(depth, ')') + "\n"; };
  check(with_code("m/code/__torch__.py", nested(200) + nested(200)));
  expect_refused(with_code("m/code/__torch__.py", nested(201)), "code/__torch__.py:2: more than 200 brackets or blocks within each other");
  expect_refused(with_code("m/code/__torch__.py", "if a:\n" + std::string(402, ' ') + "pass\n"), "code/__torch__.py:2: more than 200");
}

TEST(CodeAtLoad, ScansEveryPickle) {
  const std::string bound = "\x80\x02" "c__torch__.torch.classes.quantized\nLinearPackedParamsBase\n.";
  for (const char* name : {"m/data.pkl", "m/constants.pkl", "m/sub/x.PKL", "m/code/x.py.debug_pkl"}) {
    expect_refused({.entries = {record(name, bound)}}, "a class bound from C++");
  }
}

TEST(CodeAtLoad, RefusesPyTorch10sFormat) {
  expect_refused({.entries = {record("m/Model.json", "{}")}}, "the format of PyTorch 1.0");
}

TEST(CodeAtLoad, RefusesPicklesInAnExportArchive) {
  expect_refused({.entries = {record("m/models/model.json", "{}"), record("m/data.pkl", kEmptyTuple)}},
                 "a pickle in a torch.export archive");
}

}  // namespace
}  // namespace portfire
