#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph/kernels/turn.h"
#include "engine/graph/passes/part.h"
#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {
namespace {

using Places = std::vector<std::size_t>;

bool is_number(const Operand& operand, std::int64_t value) { return operand.slot == Operand::kNoSlot && operand.constant.isInt() && operand.constant.toInt() == value; }

/// Counted from the first or from the last of `rank` axes, where that is known.
bool is_axis(const Operand& operand, std::int64_t from_end, std::size_t rank) {
  return is_number(operand, -from_end) || (rank > 0 && is_number(operand, static_cast<std::int64_t>(rank) - from_end));
}

class Finder {
 public:
  explicit Finder(const Block& block) : block_(block), uses_(block), takers_(takers_of(block)) {}

  /// What a stack of the parts of a product of complex numbers becomes, and the steps that it takes the place of: `members`, in their
  /// order, of which those that others look at stay.
  struct Found {
    Pairs pairs;
    Operand x, turn;
    Places members;
    Places gone;
    int result = Operand::kNoSlot;
  };

  std::optional<Found> at(std::size_t place) {
    members_.clear();
    const Step& stack = block_.steps[place];
    if (stack.op.name != "aten::stack" || stack.operands.size() != 2 || stack.operands[0].items.size() != 2) return std::nullopt;
    const Operand& real = stack.operands[0].items[0];
    const Operand& imaginary = stack.operands[0].items[1];
    if (!is_axis(stack.operands[1], 1, rank_of(block_, real) == 0 ? 0 : rank_of(block_, real) + 1)) return std::nullopt;
    const std::optional<Products> less = products_of(real, "aten::sub"), more = products_of(imaginary, "aten::add");
    if (!less || !more) return std::nullopt;
    members_.push_back(place);
    const int result = only_output(stack);
    for (const bool turned : {false, true}) {  // which factor of the first product is x's
      const Factors first = turned ? Factors{less->first.second, less->first.first} : less->first;
      for (const bool other : {false, true}) {
        const Factors second = other ? Factors{less->second.second, less->second.first} : less->second;
        if (const auto found = settled(first, second, *more, result, place)) return found;
      }
    }
    return std::nullopt;
  }

 private:
  using Factors = std::pair<int, int>;
  using Products = std::pair<Factors, Factors>;

  /// The step that gives it, of this name; kNobody where it is another.
  std::size_t giver(const Operand& operand, std::string_view name) const {
    const std::size_t at = operand.slot == Operand::kNoSlot ? Uses::kNobody : uses_.giver(operand.slot);
    return at != Uses::kNobody && block_.steps[at].op.handle && block_.steps[at].op.name == name ? at : Uses::kNobody;
  }

  std::optional<Products> products_of(const Operand& sum, std::string_view name) {
    const std::size_t at = giver(sum, name);
    if (at == Uses::kNobody || block_.steps[at].operands.size() != 3 || !is_number(block_.steps[at].operands[2], 1)) return std::nullopt;
    const std::optional<Factors> first = factors_of(block_.steps[at].operands[0]), second = factors_of(block_.steps[at].operands[1]);
    if (!first || !second) return std::nullopt;
    members_.push_back(at);
    return Products{*first, *second};
  }

  std::optional<Factors> factors_of(const Operand& product) {
    const std::size_t at = giver(product, "aten::mul");
    if (at == Uses::kNobody || block_.steps[at].operands.size() != 2) return std::nullopt;
    members_.push_back(at);
    return Factors{block_.steps[at].operands[0].slot, block_.steps[at].operands[1].slot};
  }

  /// The step that takes a tensor apart along its last axis into these two.
  std::size_t halves(int first, int second) const {
    const std::size_t at = giver({.slot = first}, "aten::unbind");
    if (at == Uses::kNobody || block_.steps[at].operands.size() != 2 || block_.steps[at].outputs.size() != 1) return Uses::kNobody;
    const Step& step = block_.steps[at];
    return step.outputs[0] == std::vector<int>{first, second} && is_axis(step.operands[1], 1, rank_of(block_, step.operands[0])) ? at : Uses::kNobody;
  }

  bool same_product(const Factors& a, const Factors& b) const { return a == b || (a.first == b.second && a.second == b.first); }

  /// a c - b s, and a s + b c in any order; a and b are x's.
  std::optional<Found> settled(const Factors& first, const Factors& second, const Products& more, int result, std::size_t place) const {
    const Factors crossed{first.first, second.second}, other{second.first, first.second};
    const bool is_sum = (same_product(more.first, crossed) && same_product(more.second, other)) || (same_product(more.first, other) && same_product(more.second, crossed));
    const std::size_t x = halves(first.first, second.first), turn = halves(first.second, second.second);
    if (!is_sum || x == Uses::kNobody || turn == Uses::kNobody || x == turn) return std::nullopt;
    Found found{.pairs = {}, .x = block_.steps[x].operands[0], .turn = block_.steps[turn].operands[0], .members = members_, .gone = {}, .result = result};
    if (found.x.slot == Operand::kNoSlot || found.turn.slot == Operand::kNoSlot || !same_shape(block_, found.x.slot, result)) return std::nullopt;
    found.members.push_back(x);
    found.members.push_back(turn);
    take_shapes(found, x, turn, result);
    std::sort(found.members.begin(), found.members.end());
    found.members.erase(std::unique(found.members.begin(), found.members.end()), found.members.end());
    return decided(found, place) ? std::optional(found) : std::nullopt;
  }

  /// Views before and after become the kernel's own, where nothing else looks at them.
  void take_shapes(Found& found, std::size_t x, std::size_t turn, int result) const {
    const std::size_t rank = rank_of(block_, {.slot = result});
    const std::size_t split = giver(found.x, "aten::unflatten");
    if (split != Uses::kNobody && only_members_take(block_.steps[x], found) && uses_.only_taker(found.x.slot) == x) {
      const Step& step = block_.steps[split];
      const std::vector<std::int64_t> sizes = step.operands.size() == 3 ? known_ints(step.operands[2], 2) : std::vector<std::int64_t>{};
      if (!sizes.empty() && sizes[1] == 2 && is_axis(step.operands[1], 1, rank - 1) && rank_of(block_, step.operands[0]) + 1 == rank) {
        found.members.push_back(split);
        found.x = step.operands[0];
        found.pairs.come_joined = true;
      }
    }
    const std::size_t grown = giver(found.turn, "aten::unsqueeze");
    if (grown != Uses::kNobody && only_members_take(block_.steps[turn], found) && uses_.only_taker(found.turn.slot) == turn) {
      const Step& step = block_.steps[grown];
      const bool known = step.operands.size() == 2 && step.operands[1].constant.isInt() && step.operands[0].slot != Operand::kNoSlot;
      const std::int64_t axis = known ? step.operands[1].constant.toInt() : -1;
      if (known && axis >= 0 && axis + 2 < static_cast<std::int64_t>(rank)) {
        found.members.push_back(grown);
        found.turn = step.operands[0];
        found.pairs.axis = axis;
      }
    }
    const std::size_t joined = uses_.only_taker(result);
    if (joined == Uses::kNobody || block_.steps[joined].op.name != "aten::flatten" || block_.steps[joined].operands.size() != 3) return;
    const Step& step = block_.steps[joined];
    if (!step.op.handle || step.operands[0].slot != result || !is_axis(step.operands[1], 2, rank) || !is_axis(step.operands[2], 1, rank)) return;
    found.members.push_back(joined);
    found.pairs.go_joined = true;
    found.result = only_output(step);
  }

  bool only_members_take(const Step& step, const Found& found) const {
    for (const std::vector<int>& slots : step.outputs) {
      for (const int slot : slots) {
        if (slot == Operand::kNoSlot) continue;
        for (const std::size_t taker : takers_[static_cast<std::size_t>(slot)]) {
          if (std::find(found.members.begin(), found.members.end(), taker) == found.members.end()) return false;
        }
      }
    }
    return true;
  }

  /// What has been read stays until it is read again at `place`, where the kernel stands; and what is left out nobody misses, but views.
  bool decided(Found& found, std::size_t place) const {
    if (found.result == Operand::kNoSlot) return false;
    for (std::size_t k = found.members.front(); k < place; ++k) {
      if (block_.steps[k].writes()) return false;
    }
    for (const std::size_t k : found.members) {
      const Step& step = block_.steps[k];
      const bool gives = only_output(step) == found.result;
      if (gives || only_members_take(step, found)) {
        found.gone.push_back(k);
      } else if (step.op.name != "aten::unbind") {
        return false;
      }
    }
    return true;
  }

  const Block& block_;
  Uses uses_;
  std::vector<std::vector<std::size_t>> takers_;
  Places members_;
};

}  // namespace

void turn_pairs(Block& block) {
  Finder finder(block);
  std::vector<bool> gone(block.steps.size(), false);
  std::vector<std::pair<std::size_t, Step>> made;
  for (std::size_t k = 0; k < block.steps.size(); ++k) {
    const std::optional<Finder::Found> found = finder.at(k);
    if (!found) continue;
    std::vector<Step> steps;
    for (const std::size_t member : found->members) steps.push_back(block.steps[member]);
    Block alone = part_of(block, std::move(steps), {found->x.slot, found->turn.slot}, found->result);
    for (const std::size_t member : found->gone) gone[member] = true;
    made.emplace_back(k, Step{.op = {.name = "portfire::turn_pairs", .kernel = turned_pairs(found->pairs, std::move(alone))}, .name = block.steps[k].name,
                              .operands = {found->x, found->turn}, .outputs = {{found->result}}, .lists = {false}, .written = {}, .last_uses = {}});
  }
  for (auto& [place, step] : made) {
    block.steps[place] = std::move(step);
    gone[place] = false;
  }
  erase_steps(block, gone);
}

}  // namespace portfire::graph
