#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <portfire/export.h>
#include <portfire/model.h>

namespace portfire {

struct BenchOptions {
  std::vector<NamedTensor> inputs;  ///< for `forward`; empty: made from the manifest's shapes and ranges
  std::int64_t batch = 1;           ///< stands for the batch symbol when inputs are made
  double seconds = 1;               ///< of measuring, for each side
  bool steps = false;               ///< also each step of the engine graph
  bool plain = true;                ///< also the version's TorchScript file, if any, as LibTorch's tutorial calls it
  /// Called with 0..1 now and then; null for none.
  void (*progress)(double done, void* context) = nullptr;
  void* progress_context = nullptr;
};

/// Latency of `forward` in microseconds.
struct Latency {
  double load_ms = 0;
  double first_us = 0;  ///< the first call after loading
  double p50_us = 0;
  double p90_us = 0;
  double p99_us = 0;
  double min_us = 0;
  std::int64_t calls = 0;
};

/// What one step of a program takes.
struct StepTime {
  std::string name;       ///< of the node: "conv2d_1"
  std::string operation;  ///< "portfire::convolution"
  std::string result;     ///< "float32[1, 64, 56, 56]"
  double us = 0;          ///< the mean of a call
};

struct PORTFIRE_EXPORT BenchReport {
  Latency portfire;
  Latency plain;              ///< `calls` is 0 when it was not measured
  std::int64_t batch = 1;
  double items_per_second = 0;  ///< batch / median
  std::int64_t peak_bytes = 0;  ///< of this process's memory, before the plain side was loaded
  std::string engine;
  std::string optimization;
  std::string precision;
  Device device;
  int threads = 0;
  std::vector<StepTime> steps;  ///< in the program's order, where they were asked for
  [[nodiscard]] std::string to_json() const;
};

/// Times `forward` on this machine; both sides in turn, on the same inputs and threads. Throws as
/// `Model::load`, kInvalidArgument where inputs cannot be made up (an unnamed size, no manifest), and kUnsupported where
/// the steps of another engine than graph are asked for.
PORTFIRE_EXPORT BenchReport bench(const std::string& path, const LoadOptions& load, const BenchOptions& options);

}  // namespace portfire
