#pragma once

#include <functional>
#include <memory>

#include "engine/graph/kernels/epilogue.h"
#include "engine/graph/plan.h"

namespace portfire::graph {

/// A layer that a kernel can compute together with what follows it.
struct Layer {
  bool adds = true;         ///< an addition can follow
  bool activates_sum = true;  ///< and an activation that
  std::function<std::shared_ptr<const Kernel>(Epilogue)> make{};  ///< empty for a step that is no such layer
};

/// Replaces each step that `find` knows by its kernel `name`, with the addition and the activation that nothing else
/// looks in between of.
void pack_layers(Block& block, const std::string& name, const std::function<Layer(const Block&, const Step&)>& find);

}  // namespace portfire::graph
