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

constexpr std::size_t kMostBytes = std::size_t{64} << 20;  // of one result: what is cheap to make may be dear to keep

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

/// The tensors that a step gives whatever the input; nothing where they depend on it, on chance, or are too large.
std::optional<std::vector<at::Tensor>> results_of(const Step& step) {
  const bool plain = std::none_of(step.lists.begin(), step.lists.end(), [](bool list) { return list; });
  if (!step.op.handle || !plain || !std::all_of(step.operands.begin(), step.operands.end(), is_constant)) return std::nullopt;
  if (step.op.handle->hasTag(at::Tag::nondeterministic_seeded)) return std::nullopt;
  torch::jit::Stack stack;
  for (const Operand& operand : step.operands) stack.push_back(operand.constant);
  try {
    step.op.handle->callBoxed(stack);
  } catch (const std::exception&) {
    return std::nullopt;  // a call will say so
  }
  std::vector<at::Tensor> results;
  for (const IValue& value : stack) {
    if (!value.isTensor() || !value.toTensor().defined() || value.toTensor().nbytes() > kMostBytes) return std::nullopt;
    results.push_back(value.toTensor());
  }
  return results.size() == step.outputs.size() ? std::optional(std::move(results)) : std::nullopt;
}

}  // namespace

void fold_constants(Block& block) {
  const auto weights = std::make_shared<Storages>(*block.weights);
  Known known;
  std::vector<bool> gone(block.steps.size(), false);
  for (std::size_t k = 0; k < block.steps.size(); ++k) {
    Step& step = block.steps[k];
    for (Operand& operand : step.operands) fill_in(operand, known);
    const auto results = results_of(step);
    if (!results) continue;
    for (std::size_t output = 0; output < results->size(); ++output) {
      const at::Tensor& result = (*results)[output];
      if (step.outputs[output].empty()) continue;
      known[step.outputs[output][0]] = result;
      if (result.has_storage()) weights->emplace(result.storage().unsafeGetStorageImpl(), result.storage());
    }
    gone[k] = true;
  }
  for (Operand& output : block.outputs) fill_in(output, known);
  block.weights = weights;
  erase_steps(block, gone);
}

}  // namespace portfire::graph
