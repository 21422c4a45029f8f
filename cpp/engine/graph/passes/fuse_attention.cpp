#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/kernels/attention.h"
#include "engine/graph/passes/part.h"
#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {
namespace {

constexpr std::size_t kNobody = Uses::kNobody;

/// Attention as the steps of a program have it (see kernels/attention.h).
struct Attention {
  Operand query, key, value;
  double scale = 1;
  Mask kind = Mask::kNone;
  Operand mask{};
  std::size_t turn = kNobody;        ///< the step that transposes the keys, which others may want too
  std::vector<std::size_t> steps{};  ///< that nobody else wants
  std::size_t last = kNobody;        ///< the product with the values
};

std::optional<double> known_number(const Operand& operand) {
  if (operand.slot != Operand::kNoSlot || !operand.items.empty()) return std::nullopt;
  if (operand.constant.isDouble() || operand.constant.isInt()) return operand.constant.toScalar().toDouble();
  const at::Tensor tensor = constant_tensor(operand);
  const bool real = tensor.defined() && tensor.dim() == 0 && tensor.is_cpu() && !tensor.is_complex();
  return real ? std::optional(tensor.item().toDouble()) : std::nullopt;
}

bool is_int(const Operand& operand, std::int64_t value) { return operand.constant.isInt() && operand.constant.toInt() == value; }

class Finder {
 public:
  explicit Finder(const Block& block) : block_(block), uses_(block) {}

  static bool is_softmax(const Step& step) {
    return (step.op.name == "aten::softmax" || step.op.name == "aten::_softmax") && step.operands.size() == 3;
  }

  /// The attention whose softmax is the step; without a last step where it is none.
  Attention around(std::size_t softmax) const {
    Attention found;
    const Step& step = block_.steps[softmax];
    const auto rank = static_cast<std::int64_t>(rank_of(block_, step.operands[0]));
    if (!is_softmax(step) || rank != 4 || (!is_int(step.operands[1], -1) && !is_int(step.operands[1], rank - 1))) return {};
    found.steps.push_back(softmax);
    if (!scores(step.operands[0], found)) return {};
    const std::size_t last = product_with_values(softmax, found);
    if (last == kNobody) return {};
    found.value = block_.steps[last].operands[1];
    found.last = last;
    return found;
  }

 private:
  /// The step that gives the operand, to nobody but one other.
  std::size_t giver(const Operand& operand) const {
    if (operand.slot == Operand::kNoSlot || uses_.only_taker(operand.slot) == kNobody) return kNobody;
    const std::size_t found = uses_.giver(operand.slot);
    return found != kNobody && block_.steps[found].written.empty() && only_output(block_.steps[found]) == operand.slot ? found : kNobody;
  }

  bool scores(const Operand& operand, Attention& found) const {
    const std::size_t at = giver(operand);
    if (at == kNobody) return false;
    const Step& step = block_.steps[at];
    found.steps.push_back(at);
    if (step.op.name == "aten::add" && step.operands.size() == 3 && known_number(step.operands[2]) == 1) {
      for (const std::size_t k : {0U, 1U}) {
        if (step.operands[k].slot == Operand::kNoSlot || !same_shape(block_, step.operands[k].slot, operand.slot)) continue;
        Attention inner = found;
        if (!scaled(step.operands[k], inner)) continue;
        found = std::move(inner);
        found.kind = Mask::kAdded;
        found.mask = step.operands[1 - k];
        return has_rows(found.mask);
      }
      return false;
    }
    if (step.op.name == "aten::masked_fill" && step.operands.size() == 3) {
      const std::optional<double> score = known_number(step.operands[2]);
      if (!score || step.operands[0].slot == Operand::kNoSlot || !same_shape(block_, step.operands[0].slot, operand.slot)) return false;
      found.kind = Mask::kHidden;
      found.mask = step.operands[1];
      return *score <= -1e4 && has_rows(found.mask) && scaled(step.operands[0], found);
    }
    found.steps.pop_back();
    return scaled(operand, found);
  }

  /// As a mask needs them, and columns.
  bool has_rows(const Operand& mask) const {
    const at::Tensor known = constant_tensor(mask);
    return (known.defined() ? static_cast<std::size_t>(known.dim()) : rank_of(block_, mask)) >= 2;
  }

  bool scaled(const Operand& operand, Attention& found) const {
    const std::size_t at = giver(operand);
    if (at == kNobody) return false;
    const Step& step = block_.steps[at];
    const bool divides = step.op.name == "aten::div";
    if ((step.op.name != "aten::mul" && !divides) || step.operands.size() != 2) return product_with_keys(operand, found);
    const std::optional<double> factor = known_number(step.operands[1]);
    if (!factor) return false;
    found.scale = divides ? 1 / *factor : *factor;
    if (!std::isfinite(found.scale) || found.scale == 0) return false;
    found.steps.push_back(at);
    return product_with_keys(step.operands[0], found);
  }

  bool product_with_keys(const Operand& operand, Attention& found) const {
    const std::size_t at = giver(operand);
    if (at == kNobody || block_.steps[at].op.name != "aten::matmul") return false;
    const Step& product = block_.steps[at];
    const std::size_t rank = rank_of(block_, product.operands[0]);
    const int turned = product.operands[1].slot;
    if (turned == Operand::kNoSlot || rank != 4 || rank != rank_of(block_, product.operands[1]) || uses_.giver(turned) == kNobody) return false;
    const Step& turn = block_.steps[uses_.giver(turned)];
    if (turn.op.name != "aten::transpose" || turn.operands.size() != 3 || turn.operands[0].slot == Operand::kNoSlot || !swaps_last(turn, static_cast<std::int64_t>(rank))) return false;
    found.steps.push_back(at);
    found.turn = uses_.giver(turned);
    found.query = product.operands[0];
    found.key = turn.operands[0];
    return true;
  }

  static bool swaps_last(const Step& turn, std::int64_t rank) {
    const auto axis = [&](std::size_t k, std::int64_t from_last) { return is_int(turn.operands[k], -from_last) || is_int(turn.operands[k], rank - from_last); };
    return (axis(1, 1) && axis(2, 2)) || (axis(1, 2) && axis(2, 1));
  }

  /// Dropout that is off and conversions may lie between.
  std::size_t product_with_values(std::size_t softmax, Attention& found) const {
    int slot = only_output(block_.steps[softmax]);
    for (;;) {
      const std::size_t next = slot == Operand::kNoSlot ? kNobody : uses_.only_taker(slot);
      if (next == kNobody || !block_.steps[next].written.empty()) return kNobody;
      const Step& step = block_.steps[next];
      const bool is_off = step.op.name == "aten::dropout" && step.operands.size() == 3 && step.operands[2].constant.isBool() && !step.operands[2].constant.toBool();
      const bool converts = step.op.name == "aten::to" && step.operands.size() == 5 && is_int(step.operands[1], static_cast<std::int64_t>(at::kFloat));
      if (is_off || converts) {
        found.steps.push_back(next);
        slot = only_output(step);
        continue;
      }
      const bool multiplies = step.op.name == "aten::matmul" && step.operands[0].slot == slot && step.operands[1].slot != Operand::kNoSlot &&
                              rank_of(block_, step.operands[1]) == rank_of(block_, found.query) && only_output(step) != Operand::kNoSlot;
      return multiplies ? next : kNobody;
    }
  }

  const Block& block_;
  Uses uses_;
};

}  // namespace

void fuse_attention(Block& block) {
  std::vector<bool> gone(block.steps.size(), false);
  std::optional<Finder> finder;
  for (std::size_t k = 0; k < block.steps.size(); ++k) {
    if (!Finder::is_softmax(block.steps[k])) continue;
    if (!finder) finder.emplace(block);
    Attention found = finder->around(k);
    if (found.last == kNobody) continue;
    const Uses uses(block);
    const bool turned_for_all = uses.only_taker(only_output(block.steps[found.turn])) == kNobody;
    std::vector<std::size_t> members = found.steps;
    members.push_back(found.turn);
    members.push_back(found.last);
    std::sort(members.begin(), members.end());
    std::vector<Step> steps;
    for (const std::size_t step : members) {
      steps.push_back(block.steps[step]);
      gone[step] = step != found.turn || !turned_for_all;
    }
    std::vector<Operand> operands{found.query, found.key, found.value};
    if (found.kind != Mask::kNone) operands.push_back(found.mask);
    std::vector<int> inputs;
    for (const Operand& operand : operands) {
      if (operand.slot != Operand::kNoSlot) inputs.push_back(operand.slot);
    }
    const int result = only_output(block.steps[found.last]);
    const std::string name = block.steps[found.last].name;
    block.steps[found.last] = {.op = {.name = "portfire::attention", .kernel = attention(found.kind, found.scale, part_of(block, std::move(steps), inputs, result))},
                               .name = name, .operands = std::move(operands), .outputs = {{result}}, .lists = {false}, .written = {}, .last_uses = {}};
    gone[found.last] = false;
    finder.reset();
  }
  erase_steps(block, gone);
}

}  // namespace portfire::graph
