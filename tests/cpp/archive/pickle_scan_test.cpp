#include "archive/pickle_scan.h"

#include "expect_error.h"
#include "raw_zip.h"

namespace portfire {
namespace {

using namespace std::string_literals;
using test::expect_error;

constexpr auto kDamaged = ErrorCode::kInvalidPackage;
constexpr auto kRefused = ErrorCode::kUntrustedPackage;

/// Pickle opcodes as TorchScript's writer puts them.
std::string text(const std::string& value) {
  return "X"s + static_cast<char>(value.size()) + "\0\0\0"s + value;
}
std::string global(const std::string& module, const std::string& name) { return "c" + module + "\n" + name + "\n"; }
std::string storage(const std::string& elements, const std::string& type = "FloatStorage", const std::string& key = "0") {
  return "(" + text("storage") + global("torch", type) + text(key) + text("cpu") + elements + "t";
}
const std::string kTwo = "K\x02";

void scan(const std::string& body, const std::string& name = "data.pkl") {
  const test::RawZip zip{.entries = {test::record("m/data/0", "12345678"), test::record("m/traced_inputs/0", "")}};
  scan_pickle(Archive::from_bytes(zip.bytes(), "m.pt"), name, test::bytes_of("\x80\x02" + body));
}
void expect_refused(const std::string& body, const std::string& part) {
  expect_error([&] { scan(body); }, kRefused, part);
}

TEST(PickleScan, AllowsAStorageThatFillsItsRecord) {
  scan(storage(kTwo) + "q\0Q."s);
  scan(storage("K\x01") + "Q.");
  scan(storage("K\x01", "DoubleStorage") + "Q.");
  scan(storage("K\x08", "BoolStorage") + "Q.");
  scan(storage(kTwo, "QInt32Storage") + "Q.");
  scan(storage("K\0"s, "FloatStorage", "none") + "Q.");  // LibTorch reads no record for no elements
}

TEST(PickleScan, RefusesAStorageLargerThanItsRecord) {
  expect_refused(storage("K\x03") + "Q.", "the storage \"0\" claims 3 elements of 4 bytes, and its record has 8 bytes");
  expect_refused(storage(kTwo, "DoubleStorage") + "Q.", "claims 2 elements of 8 bytes");
  expect_refused(storage("J\xff\xff\xff\xff") + "Q.", "claims -1 elements");
  expect_refused(storage("\x8a\x08\0\0\0\0\0\0\0\x40"s) + "Q.", "claims 4611686018427387904 elements");
}

TEST(PickleScan, FollowsTheMemo) {
  const std::string shared = "(" + text("storage") + "q\0"s + global("torch", "FloatStorage") + "q\x01" + text("0") + "q\x02" +
                             text("cpu") + "q\x03" + kTwo + "tQ";
  scan(shared + "(h\0h\x01h\x02h\x03K\x02tQ."s);
  expect_refused(shared + "(h\0h\x01h\x02h\x03K\x09tQ."s, "claims 9 elements");
  // The key is remembered under a number that is given away twice.
  expect_error([&] { scan(shared + text("1") + "q\x02(h\0h\x01h\x02h\x03K\x01tQ."s); }, kDamaged, "no record \"data/1\"");
}

TEST(PickleScan, RefusesAStorageWhoseSizeCannotBeSeen) {
  expect_refused(")Q.", "not written out as TorchScript does");
  expect_refused(storage(kTwo) + "0Q.", "opcode 48");
  expect_refused("(" + text("storage") + global("torch", "FloatStorage") + text("0") + text("cpu") + ")" + "tQ.",
                 "not written out");
  expect_refused(storage(kTwo, "Storage") + "Q.", "which is none that is read");
}

TEST(PickleScan, DoesNotTakeARememberedMarkForAMark) {
  // LibTorch's tuple begins at the first mark and so has 99 for its number of elements.
  expect_refused(")(q\0"s + text("storage") + global("torch", "FloatStorage") + text("0") + text("cpu") + "K\x63h\0"s +
                     storage(kTwo).substr(1) + "Q.",
                 "not written out");
}

TEST(PickleScan, RefusesAStorageWithoutARecord) {
  expect_error([] { scan(storage(kTwo, "FloatStorage", "1") + "Q."); }, kDamaged, "no record \"data/1\"");
  expect_error([] { scan(storage(kTwo, "FloatStorage", "../data/0") + "Q."); }, kDamaged, "no record");
}

TEST(PickleScan, AllowsTracedInputsWithoutTheirData) {
  scan(storage(kTwo) + "Q.", "traced_inputs.pkl");
}

TEST(PickleScan, AllowsTheModelsOwnClassesAndHelpers) {
  scan(global("__torch__", "Net") + global("__torch__.a.___torch_mangle_0", "Net") + global("torch.jit._pickle", "build_intlist") +
       global("torch._utils", "_rebuild_tensor_v2") + global("collections", "OrderedDict") + global("builtins", "complex") + ".");
}

TEST(PickleScan, RefusesClassesBoundFromCpp) {
  const std::string part = "a class bound from C++";
  expect_refused(global("__torch__.torch.classes.quantized", "LinearPackedParamsBase") + ".", part);
  expect_refused(global("__torch__.torch.classes", "X") + ".", part);
  expect_refused(global("__torch__.torch", "classes.quantized.X") + ".", part);
  expect_refused(global("__torch__", "torch.classes.quantized.X") + ".", part);
}

TEST(PickleScan, RefusesOtherReferences) {
  expect_refused(global("os", "system") + ".", "\"os.system\"");
  expect_refused(global("builtins", "eval") + ".", "\"builtins.eval\"");
  expect_refused(global("torch._utils", "_rebuild_sparse_tensor") + ".", "_rebuild_sparse_tensor");
  expect_refused(global("torch.distributed.rpc", "rref") + ".", "rref");
  expect_refused(global("__torch__x", "Net") + ".", "__torch__x.Net");
}

TEST(PickleScan, RefusesAMemoThatWouldTakeMemory) {
  expect_refused(")r\xff\xff\xff\x7f.", "the memo 2147483647, where 0 would be next");
  expect_error([] { scan("h\x05."); }, kDamaged, "there is no memo 5");
}

TEST(PickleScan, RefusesTruncationAtEveryByte) {
  const std::string whole = storage(kTwo) + "q\0Q\x8a\x08\x01\0\0\0\0\0\0\0G\0\0\0\0\0\0\0\0."s;
  scan(whole);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THROW(scan(whole.substr(0, length)), Error) << length;
  }
}

}  // namespace
}  // namespace portfire
