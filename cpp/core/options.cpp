#include <portfire/model.h>

#include <array>
#include <utility>

#include "core/text.h"

namespace portfire {
namespace {

constexpr std::array<std::pair<std::string_view, Optimization>, 4> kOptimizations{
    {{"auto", Optimization::kAuto}, {"none", Optimization::kNone}, {"freeze", Optimization::kFreeze}, {"full", Optimization::kFull}}};
constexpr std::array<std::pair<std::string_view, Precision>, 4> kPrecisions{
    {{"packaged", Precision::kPackaged}, {"bfloat16", Precision::kBFloat16}, {"int8", Precision::kInt8}, {"fastest", Precision::kFastest}}};

template <typename Names, typename Value>
std::string_view name_in(const Names& names, Value value) noexcept {
  for (const auto& [name, one] : names) {
    if (one == value) return name;
  }
  return "";
}

template <typename Names>
auto value_in(const Names& names, std::string_view name, const char* what) {
  std::string allowed;
  for (const auto& [one, value] : names) {
    if (one == name) return value;
    allowed += cat(allowed.empty() ? "" : ", ", one);
  }
  throw Error(ErrorCode::kInvalidArgument, cat("unknown ", what, " ", quoted(name), "; one of ", allowed));
}

}  // namespace

std::string_view name_of(Optimization optimization) noexcept { return name_in(kOptimizations, optimization); }

Optimization optimization_from_name(std::string_view name) { return value_in(kOptimizations, name, "optimization"); }

std::string_view name_of(Precision precision) noexcept { return name_in(kPrecisions, precision); }

Precision precision_from_name(std::string_view name) { return value_in(kPrecisions, name, "precision"); }

}  // namespace portfire
