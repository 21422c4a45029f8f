#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <portfire/model.h>

#include "archive/package.h"
#include "tasks/pipeline.h"

namespace portfire {

/// A golden sample's bytes, kept after the archive itself has been let go.
struct GoldenBytes {
  std::vector<std::byte> input;
  std::vector<std::byte> expected;
};

/// In the manifest's order; empty without a manifest. Throws kInvalidPackage.
std::vector<GoldenBytes> read_golden(const Package& package);

/// Replays every golden sample from raw bytes to answer and compares each stage's outputs with the stored
/// ones. A stage that throws is a failed result, not an exception. A `max_error` above 0 takes the place of a tighter
/// tolerance, absolute and relative, of floating outputs.
std::vector<StageResult> replay_golden(const Manifest& manifest, std::span<const GoldenBytes> golden,
                                       const Pipeline& pipeline, double max_error = 0);

}  // namespace portfire
