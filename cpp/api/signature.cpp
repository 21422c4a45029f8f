#include "api/signature.h"

namespace portfire {

std::vector<std::string> forward_inputs(const ModelInfo& info) {
  std::vector<std::string> names;
  if (info.signature) {
    for (const TensorSpec& input : info.signature->inputs) names.push_back(input.name);
    return names;
  }
  for (const MethodInfo& method : info.methods) {
    if (method.name != "forward") continue;
    for (const ArgumentInfo& argument : method.arguments) names.push_back(argument.name);
  }
  return names;
}

}  // namespace portfire
