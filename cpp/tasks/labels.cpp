#include "tasks/labels.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {

Answer Labels::answer(const std::vector<NamedTensor>& outputs, const RunOptions& options) const {
  if (options.top_k < 1) {
    throw Error(ErrorCode::kInvalidArgument, cat("top_k is ", options.top_k, "; at least 1"));
  }
  const auto classes = static_cast<std::int64_t>(labels_.size());
  if (outputs.empty() || outputs[0].tensor.dtype() != DType::kFloat32 || outputs[0].tensor.shape() != Dims{classes}) {
    throw Error(ErrorCode::kInvalidPackage, cat(name_, ": postprocess gave ",
                                                outputs.empty() ? "nothing" : outputs[0].tensor.to_string(0),
                                                "; float32 [", classes, "] is needed, one probability a label"));
  }
  const Tensor plain = outputs[0].tensor.contiguous();
  const auto probabilities = plain.values<float>();
  const auto nan = std::find_if(probabilities.begin(), probabilities.end(), [](float p) { return std::isnan(p); });
  if (nan != probabilities.end()) {
    throw Error(ErrorCode::kInvalidPackage, cat(name_, ": postprocess gave NaN for label ",
                                                quoted(labels_[static_cast<std::size_t>(nan - probabilities.begin())])));
  }
  std::vector<std::size_t> order(labels_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto shown = std::min(order.size(), static_cast<std::size_t>(options.top_k));
  // Equal probabilities keep the order of the labels, so that an answer never depends on the sort.
  const auto better = [&](std::size_t a, std::size_t b) {
    return probabilities[a] != probabilities[b] ? probabilities[a] > probabilities[b] : a < b;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(), better);
  Classification result;
  for (std::size_t k = 0; k < shown; ++k) {
    result.top.push_back({static_cast<std::int64_t>(order[k]), labels_[order[k]], probabilities[order[k]]});
  }
  return {result};
}

}  // namespace portfire
