#include "engine/libtorch/translate.h"

#include <c10/util/Exception.h>
#include <torch/csrc/jit/frontend/error_report.h>
#include <torch/csrc/jit/runtime/jit_exception.h>

#include <new>

#include "../archive/expect_error.h"

namespace portfire::libtorch {
namespace {

using test::expect_error;

constexpr auto kCode = ErrorCode::kInvalidInput;

TEST(Essence, IsTheLastErrorOfATorchScriptTraceback) {
  EXPECT_EQ(essence("The following operation failed in the TorchScript interpreter.\n"
                    "Traceback of TorchScript, serialized code (most recent call last):\n"
                    "  File \"code/__torch__.py\", line 7, in forward\n"
                    "    return torch.matmul(x, w)\n"
                    "           ~~~~~~~~~~~~ <--- HERE\n"
                    "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x4 and 3x3)\n"),
            "mat1 and mat2 shapes cannot be multiplied (2x4 and 3x3)");
}

TEST(Essence, IsTheFirstLineOfAnyOtherMessage) {
  EXPECT_EQ(essence("\nexpected a tensor\nException raised from f at g.cpp:1\nframe #0: h\n"), "expected a tensor");
}

TEST(Essence, IsNeverEmpty) {
  EXPECT_EQ(essence(""), "LibTorch gave no reason");
  EXPECT_EQ(essence("\n  \n~~~~ <--- HERE\n"), "LibTorch gave no reason");
}

TEST(Essence, IsBounded) { EXPECT_LT(essence(std::string(100'000, 'x')).size(), 400U); }

TEST(Essence, OfATracebackIsBounded) { EXPECT_LT(essence("RuntimeError: " + std::string(100'000, 'x')).size(), 400U); }

TEST(Translated, GivesWhatTheBodyGives) {
  EXPECT_EQ(translated(kCode, "m", [] { return 7; }), 7);
}

TEST(Translated, LeavesOurOwnErrorsAlone) {
  expect_error([] { translated(kCode, "m", [] { throw Error(ErrorCode::kNotFound, "gone"); }); }, ErrorCode::kNotFound, "gone");
}

TEST(Translated, TranslatesLibTorchsErrors) {
  expect_error([] { translated(kCode, "m", [] { TORCH_CHECK(false, "no such axis"); }); }, kCode, "m: no such axis");
  expect_error([] { translated(ErrorCode::kInvalidPackage, "m", [] { TORCH_CHECK(false, "x"); }); }, ErrorCode::kInvalidPackage, "m: x");
}

TEST(Translated, TranslatesTheInterpretersExceptions) {
  expect_error([] { translated(kCode, "m", [] { throw torch::jit::JITException("one row, please"); }); }, kCode, "m: one row, please");
}

TEST(Translated, TranslatesTheCompilersReports) {
  expect_error([] { translated(kCode, "m", [] { throw torch::jit::ErrorReport(torch::jit::SourceRange()) << "unknown name"; }); }, kCode,
               "m: unknown name");
}

TEST(Translated, TellsWhenMemoryRanOut) {
  constexpr auto kMemory = ErrorCode::kResourceExhausted;
  expect_error([] { translated(kCode, "m", []() -> int { throw std::bad_alloc(); }); }, kMemory, "m: out of memory");
  expect_error([] { translated(kCode, "m", [] { TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory"); }); }, kMemory, "m: CUDA out of memory");
  expect_error([] { translated(kCode, "m", [] { TORCH_CHECK(false, "DefaultCPUAllocator: not enough memory: you tried"); }); }, kMemory, "not enough memory");
}

}  // namespace
}  // namespace portfire::libtorch
