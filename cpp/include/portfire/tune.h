#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <portfire/export.h>
#include <portfire/model.h>

namespace portfire {

struct TuneOptions {
  std::vector<NamedTensor> inputs{};  ///< for `forward`; empty: made from the signature's shapes and ranges
  std::vector<std::int64_t> batches{1, 8};  ///< what is fastest at the first is chosen; with `inputs` theirs is the only one
  std::vector<int> threads{};         ///< empty: 1, and `cpu_budget()`
  double seconds = 0.3;               ///< of measuring, for each row
  bool keep = true;                   ///< keep the profile, so that `Model::load` uses it
  /// Called with 0..1 now and then; null for none.
  void (*progress)(double done, void* context) = nullptr;
  void* progress_context = nullptr;
};

/// One way to run the model, measured; or why it is no way.
struct TuneRow {
  std::string engine;
  Optimization optimization = Optimization::kNone;
  Precision precision = Precision::kPackaged;
  int threads = 1;
  std::int64_t batch = 1;
  double load_ms = 0;
  double p50_us = 0;     ///< of one call of `forward`
  std::string problem{}; ///< "forward/logits: …"; empty for a row that may be chosen
};

struct PORTFIRE_EXPORT TuneReport {
  std::vector<TuneRow> rows;
  int chosen = -1;          ///< a row; -1 where none can be
  std::string profile;      ///< the file that `Model::load` reads; empty when it was not kept
  [[nodiscard]] std::string to_json() const;
};

/// Measures every engine, optimization, precision and number of threads that `load` leaves open on this machine, drops
/// those whose golden samples do not hold, and keeps what it found in `$XDG_CACHE_HOME/portfire/tune` (by custom
/// `~/.cache/portfire/tune`) for this package, processor, number of processors, device
/// and these versions. bfloat16 is among them where
/// `load.precision` is kBFloat16 or kFastest, 8 bits where it is kInt8, within `load.max_error`. What cannot be loaded here is a row with the reason.
/// Throws as `Model::load` on a damaged or untrusted package, kInvalidArgument where inputs cannot be made up, kIo where the profile cannot be written.
PORTFIRE_EXPORT TuneReport tune(const std::string& path, const LoadOptions& load, const TuneOptions& options);

}  // namespace portfire
