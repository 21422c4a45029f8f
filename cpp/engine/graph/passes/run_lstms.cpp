#include <algorithm>
#include <utility>
#include <vector>

#include "engine/graph/kernels/lstm.h"
#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {
namespace {

/// The members of a list; empty where it is no list that is known to have them.
std::vector<Operand> members(const Operand& list) {
  if (!list.items.empty() || !list.constant.isTensorList()) return list.items;
  std::vector<Operand> found;
  for (const at::Tensor& tensor : list.constant.toTensorVector()) found.push_back({.constant = tensor});
  return found;
}

bool is_float(const at::Tensor& tensor, at::IntArrayRef sizes) { return tensor.defined() && tensor.scalar_type() == at::kFloat && tensor.sizes() == sizes; }

/// The weights of each layer and direction; empty where they are not all known, or not of a plain LSTM (`proj_size`).
std::vector<std::vector<LstmWeights>> weights_of(const std::vector<Operand>& parameters, bool has_biases, std::int64_t layers, bool both) {
  const std::size_t each = has_biases ? 4 : 2;
  const std::size_t directions = both ? 2 : 1;
  if (layers < 1 || layers > static_cast<std::int64_t>(parameters.size()) || parameters.size() != static_cast<std::size_t>(layers) * directions * each) return {};
  std::vector<std::vector<LstmWeights>> found;
  for (std::size_t k = 0; k < parameters.size(); k += each) {
    const auto at_offset = [&](std::size_t offset) { return offset < each ? constant_tensor(parameters[k + offset]) : at::Tensor(); };
    const LstmWeights one{.input = at_offset(0), .state = at_offset(1), .input_bias = at_offset(2), .state_bias = at_offset(3)};
    if (!one.input.defined() || !one.state.defined() || one.input.dim() != 2 || one.state.dim() != 2) return {};
    const std::int64_t hidden = one.state.size(1);
    const bool plain = hidden > 0 && one.input.size(1) > 0 && is_float(one.input, {4 * hidden, one.input.size(1)}) && is_float(one.state, {4 * hidden, hidden}) &&
                       (!has_biases || (is_float(one.input_bias, {4 * hidden}) && is_float(one.state_bias, {4 * hidden})));
    const bool first_layer = k / each < directions;
    const std::int64_t expected = first_layer ? (found.empty() ? one.input.size(1) : found[0][0].input.size(1)) : hidden * static_cast<std::int64_t>(directions);
    if (!plain || one.input.size(1) != expected || (!found.empty() && found[0][0].state.size(1) != hidden)) return {};
    if (found.empty() || found.back().size() == directions) found.emplace_back();
    found.back().push_back(one);
  }
  return found;
}

}  // namespace

void run_lstms(Block& block) {
  for (Step& step : block.steps) {
    if (step.op.name != "aten::lstm" || step.operands.size() != 9) continue;
    const auto settled = [&](std::size_t k) { return step.operands[k].slot == Operand::kNoSlot && step.operands[k].constant.isBool(); };
    const bool all_settled = settled(3) && settled(6) && settled(7) && settled(8) && step.operands[4].slot == Operand::kNoSlot && step.operands[4].constant.isInt();
    if (!all_settled || rank_of(block, step.operands[0]) != 3) continue;
    const auto known = [&](std::size_t k) { return step.operands[k].constant.toBool(); };
    const std::vector<Operand> states = members(step.operands[1]);
    if (known(6) || states.size() != 2) continue;  // in training, or no plain LSTM
    std::vector<std::vector<LstmWeights>> layers = weights_of(members(step.operands[2]), known(3), step.operands[4].constant.toInt(), known(7));
    if (layers.empty()) continue;
    const bool batch_first = known(8);
    step.op = {.name = "portfire::lstm", .kernel = lstm(std::move(layers), batch_first)};
    step.operands = {step.operands[0], states[0], states[1]};
  }
}

}  // namespace portfire::graph
