#include "engine/graph/run.h"

#include <utility>

#include <portfire/error.h>

#include "core/text.h"
#include "engine/graph/step_clock.h"

namespace portfire::graph {
namespace {

using c10::IValue;

/// The values of one call.
class Frame {
 public:
  Frame(const Block& block, std::vector<IValue> inputs) : block_(block), slots_(static_cast<std::size_t>(block.slots)) {
    if (inputs.size() != block.inputs.size()) {
      throw Error(ErrorCode::kInvalidPackage, cat(inputs.size(), " values for a block that takes ", block.inputs.size()));
    }
    for (std::size_t k = 0; k < inputs.size(); ++k) at(block.inputs[k]) = std::move(inputs[k]);
  }

  void run(const Step& step) {
    stack_.clear();
    for (const Operand& operand : step.operands) stack_.push_back(value(operand));
    for (const std::size_t k : step.written) refuse_weight(step, stack_[k]);
    if (step.op.handle) {
      if (step.op.guard != nullptr) step.op.guard(stack_);
      step.op.handle->callBoxed(stack_);
    } else if (step.op.kernel) {
      step.op.kernel->run(stack_);
    } else {
      IValue number = step.op.number(stack_);
      stack_.clear();
      stack_.push_back(std::move(number));
    }
    for (std::size_t k = 0; k < step.outputs.size() && k < stack_.size(); ++k) keep(step, k);
    for (const int slot : step.last_uses) at(slot) = IValue();
  }

  IValue value(const Operand& operand) const {
    if (operand.slot != Operand::kNoSlot) {
      const IValue& found = slots_[static_cast<std::size_t>(operand.slot)];
      return operand.is_tensor && found.isScalar() ? IValue(wrapped_number(found.toScalar())) : found;
    }
    if (operand.items.empty()) return operand.constant;
    c10::impl::GenericList list(operand.element);
    for (const Operand& item : operand.items) list.push_back(value(item));
    return list;
  }

  /// Nothing where no later step wants it.
  IValue first_result(const Step& step) const {
    const bool has = !step.outputs.empty() && !step.outputs[0].empty() && step.outputs[0][0] != Operand::kNoSlot;
    return has ? slots_[static_cast<std::size_t>(step.outputs[0][0])] : IValue();
  }

 private:
  IValue& at(int slot) { return slots_[static_cast<std::size_t>(slot)]; }

  void refuse_weight(const Step& step, const IValue& written) const {
    if (written.isTensorList()) {
      for (const IValue& one : written.toListRef()) refuse_weight(step, one);
    }
    if (!written.isTensor() || !written.toTensor().has_storage()) return;
    if (!block_.weights->contains(written.toTensor())) return;
    throw Error(ErrorCode::kUnsupported, cat(step.op.name, " writes to a weight through another value; export the program "
                                                           "after run_decompositions(), which makes its state plain"));
  }

  void keep(const Step& step, std::size_t k) {
    const std::vector<int>& slots = step.outputs[k];
    if (!step.lists[k]) {
      if (!slots.empty()) at(slots[0]) = std::move(stack_[k]);
      return;
    }
    const c10::ArrayRef<IValue> items = stack_[k].toListRef();
    if (items.size() != slots.size()) {
      throw Error(ErrorCode::kInvalidInput, cat(step.op.name, " gave ", items.size(), " values; the program was exported for ", slots.size()));
    }
    for (std::size_t item = 0; item < slots.size(); ++item) {
      if (slots[item] != Operand::kNoSlot) at(slots[item]) = items[item];
    }
  }

  const Block& block_;
  std::vector<IValue> slots_;
  std::vector<IValue> stack_;
};

}  // namespace

namespace {

/// What lies in a weight is copied: the caller may write to what it gets.
IValue own(const Block& block, IValue value) {
  if (!value.isTensor() || !value.toTensor().has_storage()) return value;
  const bool is_weight = block.weights->contains(value.toTensor());
  return is_weight ? IValue(value.toTensor().clone()) : value;
}

}  // namespace

std::vector<IValue> run_block(const Block& block, std::vector<IValue> inputs) {
  Frame frame(block, std::move(inputs));
  if (StepClock::Turn turn(block); turn.counts()) {
    for (std::size_t k = 0; k < block.steps.size(); ++k) {
      turn.begin();
      frame.run(block.steps[k]);
      turn.end(k, frame.first_result(block.steps[k]));
    }
  } else {
    for (const Step& step : block.steps) frame.run(step);
  }
  std::vector<IValue> outputs;
  outputs.reserve(block.outputs.size());
  for (const Operand& output : block.outputs) outputs.push_back(own(block, frame.value(output)));
  return outputs;
}

}  // namespace portfire::graph
