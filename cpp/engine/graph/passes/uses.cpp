#include "engine/graph/passes/uses.h"

#include <functional>

namespace portfire::graph {

Uses::Uses(const Block& block)
    : giver_(static_cast<std::size_t>(block.slots), kNobody), taker_(static_cast<std::size_t>(block.slots), kNobody),
      times_(static_cast<std::size_t>(block.slots), 0) {
  for (std::size_t k = 0; k < block.steps.size(); ++k) {
    const Step& step = block.steps[k];
    for (const Operand& operand : step.operands) take(operand, k);
    for (const std::vector<int>& slots : step.outputs) {
      for (const int slot : slots) {
        if (slot != Operand::kNoSlot) giver_[static_cast<std::size_t>(slot)] = k;
      }
    }
  }
  for (const Operand& output : block.outputs) take(output, kNobody);
}

void Uses::take(const Operand& operand, std::size_t step) {
  if (operand.slot != Operand::kNoSlot) {
    ++times_[static_cast<std::size_t>(operand.slot)];
    taker_[static_cast<std::size_t>(operand.slot)] = step;
  }
  for (const Operand& item : operand.items) take(item, step);
}

std::size_t Uses::only_taker(int slot) const {
  return times_[static_cast<std::size_t>(slot)] == 1 ? taker_[static_cast<std::size_t>(slot)] : kNobody;
}

std::vector<std::vector<std::size_t>> takers_of(const Block& block) {
  std::vector<std::vector<std::size_t>> takers(static_cast<std::size_t>(block.slots));
  const std::function<void(const Operand&, std::size_t)> take = [&](const Operand& operand, std::size_t step) {
    if (operand.slot != Operand::kNoSlot) takers[static_cast<std::size_t>(operand.slot)].push_back(step);
    for (const Operand& item : operand.items) take(item, step);
  };
  for (std::size_t k = 0; k < block.steps.size(); ++k) {
    for (const Operand& operand : block.steps[k].operands) take(operand, k);
  }
  for (const Operand& output : block.outputs) take(output, Uses::kNobody);
  return takers;
}

int only_output(const Step& step) {
  return step.outputs.size() == 1 && step.outputs[0].size() == 1 && !step.lists[0] ? step.outputs[0][0] : Operand::kNoSlot;
}

at::Tensor constant_tensor(const Operand& operand) {
  const bool known = operand.slot == Operand::kNoSlot && operand.items.empty() && operand.constant.isTensor();
  return known ? operand.constant.toTensor() : at::Tensor();
}

bool is_none(const Operand& operand) {
  return operand.slot == Operand::kNoSlot && operand.items.empty() && operand.constant.isNone();
}

std::vector<std::int64_t> known_ints(const Operand& operand, std::size_t axes) {
  if (operand.slot != Operand::kNoSlot || !operand.items.empty() || !operand.constant.isIntList()) return {};
  std::vector<std::int64_t> values = operand.constant.toIntVector();
  if (values.size() == 1) values.resize(axes, values[0]);
  return values.size() == axes ? values : std::vector<std::int64_t>{};
}

std::size_t rank_of(const Block& block, const Operand& operand) {
  return operand.slot == Operand::kNoSlot ? 0 : block.shapes[static_cast<std::size_t>(operand.slot)].size();
}

bool same_shape(const Block& block, int a, int b) {
  const std::vector<std::string>& shape = block.shapes[static_cast<std::size_t>(a)];
  return !shape.empty() && shape == block.shapes[static_cast<std::size_t>(b)];
}

void erase_steps(Block& block, const std::vector<bool>& gone) {
  std::vector<Step> left;
  for (std::size_t k = 0; k < block.steps.size(); ++k) {
    if (!gone[k]) left.push_back(std::move(block.steps[k]));
  }
  block.steps = std::move(left);
}

}  // namespace portfire::graph
