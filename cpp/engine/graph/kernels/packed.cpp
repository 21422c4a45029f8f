#include "engine/graph/kernels/packed.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>

namespace portfire::graph {

bool onednn_takes(at::ScalarType dtype) {
  if (dtype != at::kBFloat16) return dtype == at::kFloat;
  static const bool bfloat16 =
      c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_is_mkldnn_bf16_supported", "").typed<bool()>().call();
  return bfloat16;
}

at::Tensor PackedWeights::for_input(at::IntArrayRef sizes) const {
  const auto has_sizes = [&](const Entry& entry) { return at::IntArrayRef(entry.sizes) == sizes; };
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(entries_.begin(), entries_.end(), has_sizes);
    if (found != entries_.end()) {
      std::rotate(entries_.begin(), found, found + 1);
      return entries_.front().weight;
    }
  }
  at::Tensor packed = pack_(sizes);  // without the lock: other shapes need not wait
  const std::lock_guard lock(mutex_);
  if (std::none_of(entries_.begin(), entries_.end(), has_sizes)) {
    entries_.insert(entries_.begin(), {.sizes = sizes.vec(), .weight = packed});
    if (entries_.size() > kMost) entries_.pop_back();
  }
  return packed;
}

}  // namespace portfire::graph
