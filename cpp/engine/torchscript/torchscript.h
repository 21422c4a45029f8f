#pragma once

#include <memory>
#include <string>
#include <vector>

#include <portfire/model.h>

#include "archive/archive.h"
#include "core/engine.h"

namespace portfire::torchscript {

/// What a TorchScript program declares, learnt from its graphs without running them.
struct ProgramInfo {
  std::vector<MethodInfo> methods;
  std::int64_t parameters = 0;
  std::int64_t parameter_bytes = 0;
};

struct EngineOptions {
  Device device;
  Optimization optimization = Optimization::kFreeze;
  int threads = 1;  ///< for one operator
  std::vector<std::string> allow_ops;
};

struct LoadedEngine {
  std::unique_ptr<Engine> engine;
  ProgramInfo program;
  Optimization applied = Optimization::kNone;  ///< what LibTorch was able to do
  std::string reason;                          ///< why it is less than was asked for; else empty
};

/// Reads the program and holds every operator against the allow-list. Runs nothing.
/// Throws kInvalidPackage, kUntrustedPackage.
ProgramInfo describe(const Archive& archive, const std::vector<std::string>& allow_ops);

/// The same, and makes it ready to run. Throws kUnsupported too (a device that is not there).
LoadedEngine load(const Archive& archive, const EngineOptions& options);

bool cuda_available();

}  // namespace portfire::torchscript
