#include <array>

#include <portfire/error.h>
#include <portfire/tensor.h>

#include "core/text.h"

namespace portfire {
namespace {

struct Row {
  std::string_view name;
  std::size_t size;
};

constexpr std::array<Row, 10> kRows{{{"bool", 1},
                                     {"uint8", 1},
                                     {"int8", 1},
                                     {"int16", 2},
                                     {"int32", 4},
                                     {"int64", 8},
                                     {"float16", 2},
                                     {"bfloat16", 2},
                                     {"float32", 4},
                                     {"float64", 8}}};

}  // namespace

std::size_t size_of(DType dtype) noexcept { return kRows[static_cast<std::size_t>(dtype)].size; }

std::string_view name_of(DType dtype) noexcept { return kRows[static_cast<std::size_t>(dtype)].name; }

DType dtype_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (kRows[i].name == name) return static_cast<DType>(i);
  }
  std::string allowed;
  for (const Row& row : kRows) allowed += cat(allowed.empty() ? "" : ", ", row.name);
  throw Error(ErrorCode::kInvalidArgument, cat("unknown dtype ", quoted(name), "; one of ", allowed));
}

bool is_floating_point(DType dtype) noexcept { return dtype >= DType::kFloat16; }

Device Device::parse(std::string_view text) {
  if (text == "cpu") return {};
  if (text == "cuda") return {Kind::kCuda, 0};
  if (text.starts_with("cuda:") && text.size() > 5 && text.size() <= 8) {
    int index = 0;
    for (const char c : text.substr(5)) {
      if (c < '0' || c > '9') break;
      index = index * 10 + (c - '0');
    }
    if (Device{Kind::kCuda, index}.to_string() == text) return {Kind::kCuda, index};
  }
  throw Error(ErrorCode::kInvalidArgument, cat("unknown device ", quoted(text), "; one of cpu, cuda, cuda:N"));
}

std::string Device::to_string() const { return kind == Kind::kCpu ? "cpu" : cat("cuda:", index); }

}  // namespace portfire
