#pragma once

#include <cstddef>
#include <vector>

#include "engine/graph/plan.h"

namespace portfire::graph {

/// Who gives and who takes each slot of a block. Made anew when steps have changed.
class Uses {
 public:
  static constexpr std::size_t kNobody = static_cast<std::size_t>(-1);

  explicit Uses(const Block& block);

  /// The step that gives the slot; kNobody for an input of the block.
  std::size_t giver(int slot) const { return giver_[static_cast<std::size_t>(slot)]; }
  /// The one step that takes it; kNobody where it is taken more or less than once, or is an output of the block.
  std::size_t only_taker(int slot) const;

 private:
  void take(const Operand& operand, std::size_t step);

  std::vector<std::size_t> giver_;
  std::vector<std::size_t> taker_;
  std::vector<int> times_;
};

/// The steps that take each slot, kNobody among them where it is an output of the block.
std::vector<std::vector<std::size_t>> takers_of(const Block& block);

/// The slot of a step with one output; kNoSlot for others.
int only_output(const Step& step);

/// A constant tensor, or undefined.
at::Tensor constant_tensor(const Operand& operand);

/// True where the operand is known and is `value`, or nothing.
bool is_none(const Operand& operand);

/// Known integers, one stretched over all axes; empty where they are not known.
std::vector<std::int64_t> known_ints(const Operand& operand, std::size_t axes);

/// How many axes the export says that a slot's tensor has; 0 where it does not say.
std::size_t rank_of(const Block& block, const Operand& operand);

/// True where the export says that both slots hold tensors of one shape.
bool same_shape(const Block& block, int a, int b);

/// Takes the marked steps out.
void erase_steps(Block& block, const std::vector<bool>& gone);

}  // namespace portfire::graph
