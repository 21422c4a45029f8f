#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <portfire/manifest.h>
#include <portfire/tensor.h>

#include "core/engine.h"
#include "tasks/generation/state.h"

namespace portfire {

/// The inputs of `forward` that hold state, and the logits' last size.
std::span<const TensorSpec> state_of(const Manifest& manifest);
std::int64_t vocabulary_of(const Manifest& manifest);

/// One call of `forward` for a language model: S tokens of each of N texts.
struct Reading {
  std::int64_t first_row = 0;  ///< of the state
  std::int64_t rows = 1;       ///< N
  std::vector<std::int64_t> ids;        ///< [N, S]
  std::vector<std::int64_t> positions;  ///< [N, S]
  std::vector<std::int64_t> select;     ///< [R]: of which of the N * S tokens the logits are wanted
};

/// float32 [R, V] on the CPU; writes to the state. `room` is the state's length. Throws what `forward` throws, and
/// kInvalidPackage where it gives anything else.
Tensor logits_after(const Engine& engine, const Manifest& manifest, const GenerationState& state, const Reading& reading, std::int64_t room);

/// The logits after each of `ids` but the last, float32 [L - 1, V]: the first half of them in one call, the others one
/// by one, as texts are written.
Tensor score(const Engine& engine, const Manifest& manifest, std::span<const std::int64_t> ids);

/// first, first + 1, …
std::vector<std::int64_t> counted(std::int64_t first, std::int64_t count);

}  // namespace portfire
