#include "engine/torchscript/checked.h"

#include <algorithm>
#include <optional>

#include "engine/libtorch/quiet.h"
#include "engine/torchscript/attributes.h"
#include "engine/torchscript/deep_stack.h"
#include "engine/torchscript/read.h"

namespace portfire::torchscript {
namespace {

// Note [Deep code]: LibTorch's parser, compiler and unpickler call themselves for every level of an
// expression, every elif, every function that a function calls, every blank line. A hostile file of a
// hundred kilobytes runs over an ordinary stack, and no error can be told from there. Measured with LibTorch
// 2.13, no byte of source takes more than 3.2 KiB of stack; with more than that for each, reading always
// comes to an end, and the walk over the operators then refuses what is nested deeper than later passes bear.
constexpr std::size_t kStackBase = std::size_t{64} << 20;
constexpr std::size_t kStackPerByte = 4096;
constexpr std::size_t kStackMost = std::size_t{64} << 30;

std::size_t stack_for(const Archive& archive) {
  std::size_t bytes = 0;
  for (const ArchiveEntry& entry : archive.entries()) {
    const bool parsed = entry.name.ends_with(".py") || entry.name.ends_with(".pkl");
    if (parsed) bytes += static_cast<std::size_t>(entry.bytes);
  }
  return std::min(kStackBase + std::min(bytes, kStackMost / kStackPerByte) * kStackPerByte, kStackMost);
}

}  // namespace

CheckedModule read_checked(const Archive& archive, const std::vector<std::string>& allow_ops) {
  std::optional<CheckedModule> checked;
  on_deep_stack(stack_for(archive), [&] {
    const libtorch::Quiet quiet;
    torch::jit::Module module = read_module(archive);
    check_attributes(module, archive.path());
    std::vector<MethodContents> contents = check_operators(module, allow_ops, archive.path());
    checked = CheckedModule{std::move(module), std::move(contents)};
  });
  return std::move(*checked);
}

}  // namespace portfire::torchscript
