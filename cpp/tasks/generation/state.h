#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <portfire/manifest.h>
#include <portfire/tensor.h>

#include "core/engine.h"

namespace portfire {

/// What a model keeps of the tokens it has seen, for a number of texts: the cache of a transformer, the hidden state of a
/// recurrent network. Zeros at first. One thread at a time.
class GenerationState {
 public:
  /// For `rows` texts of at most `length` tokens. `specs` are the inputs of `forward` that hold state: "N" among their axes
  /// counts texts, "T" the tokens that there is room for.
  GenerationState(std::span<const TensorSpec> specs, std::int64_t rows, std::int64_t length);

  /// The tensors for `rows` texts from `first` on and the first `length` tokens: views, through which `forward` writes.
  [[nodiscard]] std::vector<Tensor> view(std::int64_t first, std::int64_t rows, std::int64_t length) const;
  /// Gives text `to` the state of the first `length` tokens of text `from`.
  void copy(std::int64_t from, std::int64_t to, std::int64_t length);
  /// Nothing seen: what is there of tokens that are not seen yet may stay.
  void begin(std::int64_t row);
  /// Zeros.
  void clear(std::int64_t row);

  /// What one text of that length takes.
  static std::int64_t row_bytes(std::span<const TensorSpec> specs, std::int64_t length);

 private:
  struct Part {
    Tensor tensor;
    std::size_t row_axis = 0;
    std::int64_t length_axis = -1;  ///< -1: it has none

    /// Calls `act` with the offset, within the tensor's bytes, and the size of each piece of a row's first `length` tokens.
    template <class Act>
    void each_piece(std::int64_t row, std::int64_t length, Act act) const;
    void clear(std::int64_t row);
  };
  std::vector<Part> parts_;
};

}  // namespace portfire
