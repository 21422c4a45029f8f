#include "engine/torchscript/describe.h"

#include <algorithm>

#include "core/text.h"
#include "engine/torchscript/checked.h"

namespace portfire::torchscript {
namespace {

std::string returns_of(const c10::FunctionSchema& schema) {
  std::string out;
  for (const c10::Argument& value : schema.returns()) out += cat(out.empty() ? "" : ", ", value.type()->annotation_str());
  return out;
}

}  // namespace

ProgramInfo describe_module(const torch::jit::Module& module, const std::vector<MethodContents>& contents) {
  ProgramInfo info;
  for (const torch::jit::Method& method : module.get_methods()) {
    const c10::FunctionSchema& schema = method.function().getSchema();
    MethodInfo row{.name = method.name(), .arguments = {}, .returns = returns_of(schema), .operators = {}};
    for (std::size_t k = 1; k < schema.arguments().size(); ++k) {  // 0 is self
      row.arguments.push_back({schema.arguments()[k].name(), schema.arguments()[k].type()->annotation_str()});
    }
    const auto found = std::find_if(contents.begin(), contents.end(), [&](const auto& c) { return c.name == row.name; });
    if (found != contents.end()) {
      row.operators.assign(found->operators.begin(), found->operators.end());
      info.parameters += found->constants;
      info.parameter_bytes += found->constant_bytes;
    }
    info.methods.push_back(std::move(row));
  }
  for (const at::Tensor& parameter : module.parameters()) {
    info.parameters += parameter.numel();
    info.parameter_bytes += static_cast<std::int64_t>(parameter.nbytes());
  }
  return info;
}

ProgramInfo describe(const Archive& archive, const std::vector<std::string>& allow_ops) {
  const CheckedModule checked = read_checked(archive, allow_ops);
  return describe_module(checked.module, checked.contents);
}

}  // namespace portfire::torchscript
