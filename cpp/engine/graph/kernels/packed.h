#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <mutex>
#include <vector>

namespace portfire::graph {

/// True where oneDNN computes in this dtype on this machine.
bool onednn_takes(at::ScalarType dtype);

/// A layer's weight in the layouts that oneDNN wants for the shapes of input it has met, made on first use. The
/// least recently used goes when there are more than `kMost`. Thread-safe.
class PackedWeights {
 public:
  static constexpr std::size_t kMost = 4;

  using Pack = std::function<at::Tensor(at::IntArrayRef input_sizes)>;
  explicit PackedWeights(Pack pack) : pack_(std::move(pack)) {}

  at::Tensor for_input(at::IntArrayRef sizes) const;

 private:
  struct Entry {
    std::vector<std::int64_t> sizes;
    at::Tensor weight;
  };

  Pack pack_;
  mutable std::mutex mutex_;
  mutable std::vector<Entry> entries_;  // the last used first
};

}  // namespace portfire::graph
