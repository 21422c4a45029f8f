#include "engine/graph/operators.h"

#include <algorithm>
#include <string_view>

#include <portfire/error.h>

#include "core/text.h"
#include "engine/libtorch/allowed.h"

namespace portfire::graph {
namespace {

constexpr std::string_view kPrefix = "torch.ops.";

[[noreturn]] void unsupported(const std::string& model, const std::string& target) {
  throw Error(ErrorCode::kUnsupported, cat(model, ": the operator ", quoted(target), " is not supported"));
}

/// "torch.ops.aten.add.Tensor" as {"aten::add", "Tensor"}.
/// `detach_` is `detach`: in place it changes what is recorded for gradients, and no value.
std::optional<c10::OperatorName> name_of(const std::string& target) {
  if (target == "torch.ops.aten.detach_.default") return c10::OperatorName("aten::detach", "");
  if (!target.starts_with(kPrefix)) return std::nullopt;
  const std::string_view text = std::string_view(target).substr(kPrefix.size());
  const std::size_t first = text.find('.');
  const std::size_t last = text.rfind('.');
  if (first == std::string_view::npos || last == first) return std::nullopt;
  const std::string_view overload = text.substr(last + 1);
  return c10::OperatorName(cat(text.substr(0, first), "::", text.substr(first + 1, last - first - 1)),
                           overload == "default" ? "" : std::string(overload));
}

}  // namespace

std::optional<c10::OperatorHandle> find_schema(const std::string& target) {
  const std::optional<c10::OperatorName> name = name_of(target);
  return name ? c10::Dispatcher::singleton().findSchema(*name) : std::nullopt;
}

Operator find_operator(const std::string& target, std::size_t arguments, const std::vector<std::string>& allow_ops,
                       const std::string& model) {
  if (!target.starts_with(kPrefix)) {
    const NumberFunction number = find_number_function(target, arguments);
    if (number == nullptr) unsupported(model, target);
    return {.name = target, .number = number};
  }
  const std::optional<c10::OperatorName> name = name_of(target);
  if (!name) unsupported(model, target);
  const bool allowed = libtorch::is_allowed(name->name) || std::find(allow_ops.begin(), allow_ops.end(), name->name) != allow_ops.end();
  if (!allowed) {
    throw Error(ErrorCode::kUntrustedPackage, cat(model, ": ", name->name, " is not on the list of operators that only compute; ",
                                                  "if you trust the file, allow it by name (--allow-op)"));
  }
  const auto handle = c10::Dispatcher::singleton().findSchema(*name);
  if (!handle) unsupported(model, target);
  return {.name = name->name, .handle = *handle, .guard = find_guard(name->name, name->overload_name)};
}

}  // namespace portfire::graph
