#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/kernels/packed.h"
#include "engine/graph/kernels/packed_convolution.h"
#include "engine/graph/passes/follow.h"
#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {
namespace {

/// The padding of `aten::conv2d.padding`; "same" needs as much on both sides, for a stride of one.
std::vector<std::int64_t> named_padding(const std::string& name, const Convolution& convolution, std::size_t axes) {
  if (name == "valid") return std::vector<std::int64_t>(axes, 0);
  std::vector<std::int64_t> padding;
  for (std::size_t k = 0; name == "same" && k < axes; ++k) {
    const std::int64_t total = convolution.dilation[k] * (convolution.weight.size(static_cast<std::int64_t>(k) + 2) - 1);
    if (total % 2 != 0) return {};
    padding.push_back(total / 2);
  }
  return padding;
}

/// Parameters that `aten::convolution` takes and oneDNN can be trusted with.
bool is_sound(const Convolution& c) {
  const auto all_within = [](const std::vector<std::int64_t>& values, std::int64_t least) {
    constexpr std::int64_t kMost = 1 << 15;
    return std::all_of(values.begin(), values.end(), [&](std::int64_t value) { return value >= least && value <= kMost; });
  };
  const std::int64_t outputs = c.transposed ? c.weight.size(1) * c.groups : c.weight.size(0);
  bool sound = c.weight.numel() > 0 && c.groups > 0 && c.weight.size(0) % c.groups == 0 && all_within(c.stride, 1) &&
               all_within(c.dilation, 1) && all_within(c.padding, 0) && all_within(c.output_padding, 0);
  for (std::size_t k = 0; sound && k < c.stride.size(); ++k) sound = c.output_padding[k] < std::max(c.stride[k], c.dilation[k]);
  const bool bias_fits = !c.bias.defined() || (c.bias.dim() == 1 && c.bias.size(0) == outputs && c.bias.scalar_type() == c.weight.scalar_type());
  return sound && bias_fits;
}

/// The convolution of a step as `aten::convolution` has it; without a weight where oneDNN's would not be the same.
Convolution convolution_of(const Step& step) {
  const std::string& name = step.op.name;
  const bool general = name == "aten::convolution" && step.operands.size() == 9;
  const bool transposed = name == "aten::conv_transpose2d" && step.operands.size() == 8;
  const bool plain = (name == "aten::conv2d" || name == "aten::conv3d") && step.operands.size() == 7;
  if (!general && !transposed && !plain) return {};
  Convolution found{.weight = constant_tensor(step.operands[1]), .bias = constant_tensor(step.operands[2]), .stride = {}, .padding = {},
                    .dilation = {}, .output_padding = {}};
  const bool typed = found.weight.defined() && onednn_takes(found.weight.scalar_type());
  if (!typed || found.weight.dim() < 4 || found.weight.dim() > 5 || (!found.bias.defined() && !is_none(step.operands[2]))) return {};
  const auto axes = static_cast<std::size_t>(found.weight.dim() - 2);
  found.stride = known_ints(step.operands[3], axes);
  found.dilation = known_ints(step.operands[transposed ? 7 : 5], axes);
  const Operand& groups = step.operands[general ? 8 : transposed ? 6 : 6];
  if (found.stride.empty() || found.dilation.empty() || !groups.constant.isInt()) return {};
  found.groups = groups.constant.toInt();
  found.padding = step.operands[4].constant.isString() ? named_padding(step.operands[4].constant.toStringRef(), found, axes)
                                                       : known_ints(step.operands[4], axes);
  found.output_padding = general ? known_ints(step.operands[7], axes) : transposed ? known_ints(step.operands[5], axes) : std::vector<std::int64_t>(axes, 0);
  found.transposed = transposed || (general && step.operands[6].constant.toBool());
  const bool usable = !found.padding.empty() && !found.output_padding.empty() && (!found.transposed || found.weight.dim() == 4) && is_sound(found);
  return usable ? found : Convolution{};
}

}  // namespace

void pack_convolutions(Block& block) {
  pack_layers(block, "portfire::convolution", [](const Block& all, const Step& step) -> Layer {
    Convolution convolution = convolution_of(step);
    if (!convolution.weight.defined() || rank_of(all, step.operands[0]) != static_cast<std::size_t>(convolution.weight.dim())) return {};
    const bool sums = !convolution.transposed;
    return {.adds = sums, .activates_sum = true, .make = [convolution](Epilogue epilogue) { return packed_convolution(convolution, std::move(epilogue)); }};
  });
}

}  // namespace portfire::graph
