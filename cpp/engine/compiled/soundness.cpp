#include "engine/compiled/soundness.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "core/text.h"
#include "engine/graph/operators.h"
#include "engine/graph/writes.h"

namespace portfire::compiled {
namespace {

using exported::Value;

/// Where a value's elements come from; the greater the less is known of them.
enum class Origin { kFixed, kRanged, kComputed };  // constants and sizes; an integer input's own elements; anything else
using Origins = std::map<std::string, Origin>;

/// Operators that hand their input's elements on as they are.
bool hands_on(std::string_view op) {
  constexpr std::string_view kNames[] = {"alias", "clone", "contiguous", "detach", "expand", "flatten", "permute", "reshape", "select", "slice",
                                         "squeeze", "t", "to", "_to_copy", "transpose", "unflatten", "unsqueeze", "view"};
  return op.starts_with("aten::") && std::find(std::begin(kNames), std::end(kNames), op.substr(6)) != std::end(kNames);
}

bool is_index(std::string_view argument) { return argument == "index" || argument == "indices" || argument == "offsets"; }

Origin origin_of(const Value& value, const Origins& origins) {
  Origin worst = Origin::kFixed;
  if (value.kind == Value::Kind::kName) {
    const auto found = origins.find(value.text);
    if (found != origins.end()) worst = found->second;
  }
  for (const Value& item : value.items) worst = std::max(worst, origin_of(item, origins));
  return worst;
}

void note(const Value& output, Origin origin, Origins& origins) {
  if (output.kind == Value::Kind::kName) origins[output.text] = origin;
  for (const Value& item : output.items) note(item, origin, origins);
}

/// Sizes are numbers that the checks before a call bound, whatever tensor they are of.
bool is_size(std::string_view op) { return op == "aten::sym_size" || op == "aten::sym_numel" || op == "aten::sym_stride"; }

}  // namespace

std::string why_unsound(const exported::Program& program) {
  if (program.changes_state || !graph::written_weights(program).empty()) return "it writes to its inputs or weights, which compiled code would keep";
  Origins origins;
  for (std::size_t k = 0; k < program.graph.inputs.size(); ++k) {
    const DType dtype = program.signature.inputs[k].dtype;
    const bool ranged = !is_floating_point(dtype) && dtype != DType::kBool;
    origins[program.graph.inputs[k]] = ranged ? Origin::kRanged : Origin::kComputed;
  }
  for (const exported::Node& node : program.graph.nodes) {
    const auto schema = graph::find_schema(node.target);
    const std::string op = schema ? schema->operator_name().name : node.target;
    Origin worst = Origin::kFixed;
    for (const exported::Argument& argument : node.arguments) {
      if (argument.value.kind == Value::Kind::kGraph) return "it has branches or loops";
      const Origin origin = origin_of(argument.value, origins);
      if (is_index(argument.name) && origin == Origin::kComputed) return cat("it computes the indices of ", op, ", which compiled code does not check");
      worst = std::max(worst, origin);
    }
    const bool computes = worst == Origin::kRanged && !hands_on(op);
    const Origin given = is_size(op) ? Origin::kFixed : computes ? Origin::kComputed : worst;
    for (const Value& output : node.outputs) note(output, given, origins);
  }
  return {};
}

}  // namespace portfire::compiled
