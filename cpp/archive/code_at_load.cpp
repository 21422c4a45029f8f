#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include <portfire/error.h>

#include "archive/archive.h"
#include "archive/compiled_program.h"
#include "archive/pickle_scan.h"
#include "archive/record_name.h"
#include "core/text.h"

namespace portfire {
namespace {

[[noreturn]] void refuse(const Archive& archive, const std::string& what) {
  throw Error(ErrorCode::kUntrustedPackage, cat(archive.path(), ": refused: ", what));
}

// LibTorch's parser calls itself for every bracket and block, and runs over its stack where there are many.
constexpr std::int64_t kDeepest = 200;

void refuse_deep_nesting(const Archive& archive, const std::string& record, std::string_view text) {
  std::int64_t line = 1;
  std::int64_t brackets = 0;
  std::int64_t indent = 0;
  bool at_start = true;
  for (const char c : text) {
    if (c == '\n') {
      ++line;
      indent = 0;
    }
    at_start = c == '\n' || (at_start && (c == ' ' || c == '\t'));
    if (at_start && c != '\n') ++indent;
    if (c == '(' || c == '[' || c == '{') ++brackets;
    if ((c == ')' || c == ']' || c == '}') && brackets > 0) --brackets;
    if (brackets > kDeepest || indent > 2 * kDeepest) {
      refuse(archive, cat(record, ":", line, ": more than ", kDeepest, " brackets or blocks within each other"));
    }
  }
}

void refuse_state_methods(const Archive& archive, const std::string& record, std::string_view text) {
  for (const std::string_view method : {"__setstate__", "__getstate__"}) {
    const std::size_t at = text.find(method);
    if (at == std::string_view::npos) continue;
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    refuse(archive, cat(record, ":", line, ": ", method, " runs while the file is loaded; save the module without it ",
                        "(keep what it needs in parameters and buffers)"));
  }
}

}  // namespace

void refuse_code_at_load(const Archive& archive) {
  exported::refuse_foreign_objects(archive);
  const bool exported = archive.find("models/model.json") != nullptr;
  for (const ArchiveEntry& entry : archive.entries()) {
    const std::string name = folded(entry.name);
    if (name == "model.json") {
      refuse(archive, "model.json: the format of PyTorch 1.0, whose code cannot be checked; load it with PyTorch and "
                      "save it again");
    }
    if (name.starts_with("code/")) {
      const std::vector<std::byte> bytes = archive.read(entry.name);
      const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      refuse_state_methods(archive, entry.name, text);
      if (name.ends_with(".py")) refuse_deep_nesting(archive, entry.name, text);
    }
    if (!name.ends_with("pkl")) continue;
    if (exported) refuse(archive, cat(entry.name, ": a pickle in a torch.export archive, which needs none"));
    scan_pickle(archive, entry.name, archive.read(entry.name));
  }
}

}  // namespace portfire
