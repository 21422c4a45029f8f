#include "engine/graph/writes.h"

#include <algorithm>
#include <map>
#include <vector>

#include "engine/graph/operators.h"

namespace portfire::graph {
namespace {

using exported::Value;

/// Which weights a value may share its elements with.
class Aliases {
 public:
  explicit Aliases(const exported::Program& program) {
    for (const exported::Weight& weight : program.weights) roots_[weight.value] = {weight.value};
  }

  std::set<std::string> of(const Value& value) const {
    std::set<std::string> found;
    if (value.kind == Value::Kind::kName) {
      const auto known = roots_.find(value.text);
      if (known != roots_.end()) found = known->second;
    }
    for (const Value& item : value.items) found.merge(of(item));
    return found;
  }

  void add(const Value& value, const std::set<std::string>& roots) {
    if (value.kind == Value::Kind::kName && !roots.empty()) roots_[value.text] = roots;
    for (const Value& item : value.items) add(item, roots);
  }

 private:
  std::map<std::string, std::set<std::string>> roots_;
};

}  // namespace

bool writes_to(const exported::Node& node, const c10::Argument& argument) {
  if (argument.alias_info() != nullptr) return argument.alias_info()->isWrite();
  if (argument.name() != "running_mean" && argument.name() != "running_var") return false;
  return std::none_of(node.arguments.begin(), node.arguments.end(), [](const exported::Argument& flag) {
    return (flag.name == "training" || flag.name == "use_input_stats") && flag.value.kind == Value::Kind::kBool && flag.value.integer == 0;
  });
}

std::set<std::string> written_weights(const exported::Program& program) {
  Aliases aliases(program);
  std::set<std::string> written;
  for (const exported::Node& node : program.graph.nodes) {
    const auto handle = find_schema(node.target);
    if (!handle) continue;
    std::set<std::string> shared;
    for (const c10::Argument& argument : handle->schema().arguments()) {
      const bool writes = writes_to(node, argument);
      if (argument.alias_info() == nullptr && !writes) continue;
      for (const exported::Argument& given : node.arguments) {
        if (given.name != argument.name()) continue;
        std::set<std::string> roots = aliases.of(given.value);
        if (writes) written.insert(roots.begin(), roots.end());
        if (argument.alias_info() != nullptr) shared.merge(roots);
      }
    }
    const auto& returns = handle->schema().returns();
    for (std::size_t k = 0; k < returns.size() && k < node.outputs.size(); ++k) {
      if (returns[k].alias_info() != nullptr) aliases.add(node.outputs[k], shared);
    }
  }
  return written;
}

}  // namespace portfire::graph
