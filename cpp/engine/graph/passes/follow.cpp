#include "engine/graph/passes/follow.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/graph/passes/uses.h"

namespace portfire::graph {
namespace {

using c10::IValue;

bool is_named(const Step& step, std::string_view name) {
  return step.op.name == name || (step.op.name.ends_with('_') && std::string_view(step.op.name).substr(0, step.op.name.size() - 1) == name);
}

std::optional<at::Scalar> known_scalar(const Operand& operand) {
  const bool known = operand.slot == Operand::kNoSlot && operand.constant.isScalar();
  return known ? std::optional(operand.constant.toScalar()) : std::nullopt;
}

/// True for an activation that oneDNN computes; `epilogue` then has it.
bool take_activation(const Step& step, Epilogue& epilogue) {
  constexpr std::pair<std::string_view, const char*> kPlain[] = {
      {"aten::relu", "relu"}, {"aten::sigmoid", "sigmoid"}, {"aten::tanh", "tanh"},
      {"aten::hardswish", "hardswish"}, {"aten::silu", "swish"}, {"aten::hardsigmoid", "hardsigmoid"}};
  for (const auto& [name, activation] : kPlain) {
    if (!is_named(step, name)) continue;
    epilogue.activation = activation;
    return true;
  }
  const bool is_gelu = is_named(step, "aten::gelu") && step.operands[1].constant.isString();
  if (is_gelu && (step.operands[1].constant.toStringRef() == "none" || step.operands[1].constant.toStringRef() == "tanh")) {
    epilogue.activation = "gelu";
    epilogue.algorithm = step.operands[1].constant.toStringRef();
    return true;
  }
  const bool clamps = is_named(step, "aten::hardtanh") || is_named(step, "aten::relu6");
  if (clamps || is_named(step, "aten::leaky_relu")) {
    std::vector<std::optional<at::Scalar>> scalars;
    if (is_named(step, "aten::relu6")) {
      scalars = {at::Scalar(0.0), at::Scalar(6.0)};
    } else {
      for (std::size_t k = 1; k < step.operands.size(); ++k) scalars.push_back(known_scalar(step.operands[k]));
    }
    if (scalars.size() != (clamps ? 2U : 1U) || std::find(scalars.begin(), scalars.end(), std::nullopt) != scalars.end()) return false;
    for (const auto& scalar : scalars) epilogue.scalars.push_back(scalar->toDouble());
    epilogue.activation = clamps ? "hardtanh" : "leaky_relu";
    return true;
  }
  return false;
}

/// The other operand of `slot` + other, of the same shape; kNoSlot where the step is something else.
int added_to(const Block& block, const Step& step, int slot) {
  if (!is_named(step, "aten::add") || step.operands.size() != 3) return Operand::kNoSlot;
  const std::optional<at::Scalar> alpha = known_scalar(step.operands[2]);
  if (!alpha || alpha->toDouble() != 1) return Operand::kNoSlot;
  const bool in_place = !step.written.empty();
  const int other = step.operands[step.operands[0].slot == slot ? 1 : 0].slot;
  if (other == Operand::kNoSlot || (in_place && step.operands[0].slot != slot)) return Operand::kNoSlot;  // writes to the other
  return same_shape(block, slot, other) ? other : Operand::kNoSlot;
}

/// True where nothing after `first` and before `last` writes to a tensor: what `first` reads is there at `last` still.
bool may_move(const Block& block, const std::vector<bool>& gone, std::size_t first, std::size_t last) {
  for (std::size_t k = first + 1; k < last; ++k) {
    if (!gone[k] && block.steps[k].writes()) return false;
  }
  return true;
}

/// Dropout outside of training: it gives what it takes.
bool is_off(const Step& step) {
  return is_named(step, "aten::dropout") && step.operands.size() == 3 && step.operands[2].constant.isBool() && !step.operands[2].constant.toBool();
}

}  // namespace

void pack_layers(Block& block, const std::string& name, const std::function<Layer(const Block&, const Step&)>& find) {
  std::vector<bool> gone(block.steps.size(), false);
  for (std::size_t k = 0; k < block.steps.size(); ++k) {
    const Layer layer = gone[k] ? Layer{} : find(block, block.steps[k]);
    const int slot = layer.make ? only_output(block.steps[k]) : Operand::kNoSlot;
    if (slot == Operand::kNoSlot) continue;
    const Uses uses(block);
    Epilogue epilogue;
    std::vector<Operand> operands{block.steps[k].operands[0]};
    std::size_t place = k;  // where the step is to stand
    int result = slot;
    std::size_t next = uses.only_taker(result);
    for (; next != Uses::kNobody && next > k && !gone[next] && is_off(block.steps[next]) && only_output(block.steps[next]) != Operand::kNoSlot; next = uses.only_taker(result)) {
      result = only_output(block.steps[next]);
      gone[next] = true;
    }
    if (layer.adds && next != Uses::kNobody && next > k && !gone[next]) {
      const int other = added_to(block, block.steps[next], result);
      if (other != Operand::kNoSlot && other != result && may_move(block, gone, k, next)) {
        epilogue.adds = true;
        operands.push_back({.slot = other});
        gone[place] = true;
        place = next;
        result = only_output(block.steps[next]);
        next = uses.only_taker(result);
      }
    }
    if (next != Uses::kNobody && !gone[next] && (!epilogue.adds || layer.activates_sum) && only_output(block.steps[next]) != Operand::kNoSlot &&
        take_activation(block.steps[next], epilogue)) {
      result = only_output(block.steps[next]);
      gone[next] = true;
    }
    Step packed{.op = {.name = name, .kernel = layer.make(epilogue)}, .name = block.steps[k].name, .operands = std::move(operands),
                .outputs = {{result}}, .lists = {false}, .written = {}, .last_uses = {}};
    block.steps[place] = std::move(packed);
    gone[place] = false;
  }
  erase_steps(block, gone);
}

}  // namespace portfire::graph
