#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "engine/graph/kernel.h"
#include "engine/graph/plan.h"

namespace portfire::graph {

/// In which shapes the pairs come and go.
struct Pairs {
  bool come_joined = false;  ///< x is [..., 2 P], not [..., P, 2]
  bool go_joined = false;    ///< and so the result
  std::optional<std::int64_t> axis;  ///< of size 1 that the angles lack, counted as in x's pairs from the first; not among the last two
};

/// Rotary positions (Su et al., "RoFormer", 2021): each pair (a, b) of x becomes (a c - b s, a s + b c). Takes x and the angles'
/// (c, s) [..., P, 2], which are broadcast over x; gives a new tensor. `steps` take the same two and run where these are other than float32
/// on the CPU with pairs in one piece, or where x is broadcast too. Thread-safe.
std::shared_ptr<const Kernel> turned_pairs(const Pairs& pairs, Block steps);

}  // namespace portfire::graph
