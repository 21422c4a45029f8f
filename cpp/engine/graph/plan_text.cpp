#include "engine/graph/plan_text.h"

#include <sstream>

#include "core/text.h"
#include "engine/libtorch/convert.h"

namespace portfire::graph {
namespace {

template <typename Items, typename Function>
std::string joined(const Items& items, const Function& text) {
  std::string out;
  for (const auto& item : items) out += cat(out.empty() ? "" : ", ", text(item));
  return out;
}

std::string text_of(const c10::IValue& value) {
  if (value.isTensor()) {
    const at::Tensor& tensor = value.toTensor();
    if (!tensor.defined()) return "None";
    return cat(name_of(libtorch::dtype_of(tensor.scalar_type())), "[", joined(tensor.sizes(), [](std::int64_t size) { return cat(size); }), "]");
  }
  if (value.isList()) return cat("[", joined(value.toListRef(), text_of), "]");
  if (value.isDouble()) return cat(value.toDouble());
  std::ostringstream out;
  out << value;
  return out.str();
}

}  // namespace

std::string value_text(const c10::IValue& value) { return text_of(value); }

namespace {

std::string text_of(const Operand& operand) {
  if (operand.slot != Operand::kNoSlot) return cat("%", operand.slot);
  if (operand.items.empty()) return text_of(operand.constant);
  return cat("[", joined(operand.items, [](const Operand& item) { return text_of(item); }), "]");
}

std::string slot_text(int slot) { return slot == Operand::kNoSlot ? "_" : cat("%", slot); }

}  // namespace

std::string plan_text(const Block& block) {
  std::string text = cat("  (", joined(block.inputs, slot_text), ")\n");
  for (const Step& step : block.steps) {
    const std::string given = joined(step.outputs, [](const std::vector<int>& slots) { return slots.empty() ? "_" : joined(slots, slot_text); });
    text += cat("  ", given, " = ", step.op.name, "(", joined(step.operands, [](const Operand& operand) { return text_of(operand); }), ")",
                step.name.empty() ? "" : cat("  # ", step.name), "\n");
  }
  return text + cat("  return ", joined(block.outputs, [](const Operand& operand) { return text_of(operand); }), "\n");
}

}  // namespace portfire::graph
