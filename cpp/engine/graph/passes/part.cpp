#include "engine/graph/passes/part.h"

#include <map>
#include <utility>

namespace portfire::graph {
namespace {

class Renumbered {
 public:
  int slot(int old) {
    if (old == Operand::kNoSlot) return old;
    return numbers_.emplace(old, static_cast<int>(numbers_.size())).first->second;
  }

  void operand(Operand& one) {
    one.slot = slot(one.slot);
    for (Operand& item : one.items) operand(item);
  }

  int count() const { return static_cast<int>(numbers_.size()); }

 private:
  std::map<int, int> numbers_;
};

}  // namespace

Block part_of(const Block& block, std::vector<Step> steps, const std::vector<int>& inputs, int output) {
  Renumbered numbers;
  Block part{.slots = 0, .inputs = {}, .steps = std::move(steps), .outputs = {}, .shapes = {}, .weights = block.weights};
  for (const int slot : inputs) part.inputs.push_back(numbers.slot(slot));
  for (Step& step : part.steps) {
    for (Operand& operand : step.operands) numbers.operand(operand);
    for (std::vector<int>& slots : step.outputs) {
      for (int& slot : slots) slot = numbers.slot(slot);
    }
  }
  part.outputs.push_back({.slot = numbers.slot(output)});
  part.slots = numbers.count();
  free_slots_early(part);
  return part;
}

}  // namespace portfire::graph
