#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {
namespace {

using c10::IValue;
using Known = std::unordered_map<int, at::Tensor>;  // by slot

constexpr std::size_t kMostBytes = std::size_t{64} << 20;  // of one result, and of what is kept: cheap to make may be dear to keep

bool is_constant(const Operand& operand) { return operand.slot == Operand::kNoSlot && operand.items.empty(); }

/// Puts what is known in the place of slots.
void fill_in(Operand& operand, const Known& known) {
  const auto found = known.find(operand.slot);
  if (operand.slot != Operand::kNoSlot && found != known.end()) operand = {.constant = found->second};
  if (operand.items.empty()) return;
  for (Operand& item : operand.items) fill_in(item, known);
  if (!std::all_of(operand.items.begin(), operand.items.end(), is_constant)) return;
  c10::impl::GenericList list(operand.element);
  for (Operand& item : operand.items) list.push_back(std::move(item.constant));
  operand = {.constant = std::move(list)};
}

/// True where the export says that all that a step gives is small.
bool is_small(const Block& block, const Step& step) {
  for (const std::vector<int>& slots : step.outputs) {
    std::size_t elements = slots.empty() || slots[0] == Operand::kNoSlot ? 0 : 1;
    if (elements == 0) continue;
    for (const std::string& size : block.shapes[static_cast<std::size_t>(slots[0])]) {
      const bool fixed = !size.empty() && size.size() < 10 && size.find_first_not_of("0123456789") == std::string::npos;
      if (!fixed || __builtin_mul_overflow(elements, std::stoul(size), &elements)) return false;
    }
    if (elements > kMostBytes / sizeof(double)) return false;
  }
  return true;
}

/// The tensors that a step gives whatever the input; nothing where they depend on it, on chance, or are too large.
std::optional<std::vector<at::Tensor>> results_of(const Block& block, const Step& step) {
  const bool plain = std::none_of(step.lists.begin(), step.lists.end(), [](bool list) { return list; });
  if (!step.op.handle || !plain || !std::all_of(step.operands.begin(), step.operands.end(), is_constant)) return std::nullopt;
  if (step.op.handle->hasTag(at::Tag::nondeterministic_seeded) || !is_small(block, step)) return std::nullopt;
  const auto& returns = step.op.handle->schema().returns();
  bool waits = !returns.empty() && returns[0].alias_info() != nullptr;  // a view of a weight may wait as that does
  torch::jit::Stack stack;
  for (bool done = false; !done;) {
    stack.clear();
    for (const Operand& operand : step.operands) {
      if (!waits) fetch_constants(operand);
      stack.push_back(operand.constant);
    }
    try {
      step.op.handle->callBoxed(stack);
      done = true;
    } catch (const std::exception&) {
      if (!std::exchange(waits, false)) return std::nullopt;  // a call will say so
    }
  }
  std::vector<at::Tensor> results;
  for (const IValue& value : stack) {
    if (!value.isTensor() || !value.toTensor().defined()) return std::nullopt;
    const at::Tensor& result = value.toTensor();
    const bool is_part = result.has_storage() && result.storage().nbytes() > 2 * result.nbytes() + 64;
    if (is_part) fetch(result);
    results.push_back(is_part ? result.clone() : result);  // else all of it would be kept
  }
  return results.size() == step.outputs.size() ? std::optional(std::move(results)) : std::nullopt;
}

/// Nobody may write to what calls share. Only what is still used stays alive.
void guard_constants(Block& block) {
  const auto weights = std::make_shared<Storages>(*block.weights);
  const auto guard = [&](const Operand& operand) {
    const at::Tensor tensor = constant_tensor(operand);
    if (tensor.defined() && tensor.has_storage()) weights->add(tensor);
  };
  for (const Step& step : block.steps) {
    for (const Operand& operand : step.operands) guard(operand);
  }
  for (const Operand& output : block.outputs) guard(output);
  block.weights = weights;
}

}  // namespace

void fold_constants(Block& block) {
  Known known;
  std::size_t kept = 0;
  std::vector<bool> gone(block.steps.size(), false);
  for (std::size_t k = 0; k < block.steps.size(); ++k) {
    Step& step = block.steps[k];
    for (Operand& operand : step.operands) fill_in(operand, known);
    const auto results = kept < kMostBytes ? results_of(block, step) : std::nullopt;
    if (!results) continue;
    for (std::size_t output = 0; output < results->size(); ++output) {
      const at::Tensor& result = (*results)[output];
      if (step.outputs[output].empty()) continue;
      known[step.outputs[output][0]] = result;
      kept += result.nbytes();
    }
    gone[k] = true;
  }
  for (Operand& output : block.outputs) fill_in(output, known);
  erase_steps(block, gone);
  guard_constants(block);
}

}  // namespace portfire::graph
