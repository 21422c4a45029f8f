#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {
namespace {

using c10::IValue;

constexpr std::size_t kNobody = Uses::kNobody;

/// softmax(scale q k^T + mask) v (Vaswani et al., 2017, "Scaled Dot-Product Attention"), as the steps of a program have it.
struct Attention {
  Operand query, key, value;
  double scale = 1;
  std::optional<Operand> added{};   ///< to the scores
  std::optional<Operand> hidden{};  ///< where it is true, a score is `hidden_score`
  double hidden_score = 0;
  std::vector<std::size_t> steps{};  ///< that are no longer needed
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

  /// The attention whose softmax is the step; without a last step where it is none.
  Attention around(std::size_t softmax) const {
    Attention found;
    const Step& step = block_.steps[softmax];
    const bool is_softmax = (step.op.name == "aten::softmax" || step.op.name == "aten::_softmax") && step.operands.size() == 3;
    const auto rank = static_cast<std::int64_t>(rank_of(block_, step.operands[0]));
    if (!is_softmax || rank < 3 || (!is_int(step.operands[1], -1) && !is_int(step.operands[1], rank - 1))) return {};
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
        found.added = step.operands[1 - k];
        return has_rows(*found.added);
      }
      return false;
    }
    if (step.op.name == "aten::masked_fill" && step.operands.size() == 3) {
      const std::optional<double> score = known_number(step.operands[2]);
      if (!score || step.operands[0].slot == Operand::kNoSlot || !same_shape(block_, step.operands[0].slot, operand.slot)) return false;
      found.hidden = step.operands[1];
      found.hidden_score = *score;
      return *score <= -1e4 && has_rows(step.operands[1]) && scaled(step.operands[0], found);  // so much that the score itself is lost in it
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
    if (!factor || *factor == 0) return false;
    found.scale = divides ? 1 / *factor : *factor;
    found.steps.push_back(at);
    return product_with_keys(step.operands[0], found);
  }

  bool product_with_keys(const Operand& operand, Attention& found) const {
    const std::size_t at = giver(operand);
    if (at == kNobody || block_.steps[at].op.name != "aten::matmul") return false;
    const Step& product = block_.steps[at];
    const std::size_t rank = rank_of(block_, product.operands[0]);
    const int turned = product.operands[1].slot;
    if (turned == Operand::kNoSlot || rank < 3 || rank != rank_of(block_, product.operands[1]) || uses_.giver(turned) == kNobody) return false;
    const Step& turn = block_.steps[uses_.giver(turned)];
    if (turn.op.name != "aten::transpose" || turn.operands.size() != 3 || !swaps_last(turn, static_cast<std::int64_t>(rank))) return false;
    found.steps.push_back(at);
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
  const auto fused = find_schema("torch.ops.aten.scaled_dot_product_attention.default");
  const auto where = find_schema("torch.ops.aten.where.Scalar");
  if (!fused || !where) return;
  std::vector<bool> gone(block.steps.size(), false);
  for (std::size_t k = 0; k < block.steps.size(); ++k) {
    Attention found = Finder(block).around(k);
    if (found.last == kNobody) continue;
    for (const std::size_t step : found.steps) gone[step] = true;
    Operand mask = found.added.value_or(Operand{});
    if (found.hidden) {  // in the softmax's place: a score to add, so that a row that is hidden whole stays what it was
      mask = {.slot = block.slots++};
      block.shapes.emplace_back();
      block.steps[k] = {.op = {.name = "aten::where", .handle = where}, .name = block.steps[k].name,
                        .operands = {*found.hidden, {.constant = IValue(found.hidden_score)}, {.constant = IValue(0.0)}},
                        .outputs = {{mask.slot}}, .lists = {false}, .written = {}, .last_uses = {}};
      gone[k] = false;
    }
    Step& last = block.steps[found.last];
    last.op = {.name = "aten::scaled_dot_product_attention", .handle = fused};
    last.operands = {found.query, found.key, found.value, mask, {.constant = IValue(0.0)}, {.constant = IValue(false)},
                     {.constant = IValue(found.scale)}, {.constant = IValue(false)}};
  }
  erase_steps(block, gone);
}

}  // namespace portfire::graph
