#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <portfire/model.h>

#include "core/engine.h"

namespace portfire {

/// What a program declares, learnt without running it.
struct ProgramInfo {
  std::vector<MethodInfo> methods;
  std::optional<MethodSpec> forward;  ///< where the program itself says what it takes; TorchScript does not
  std::int64_t parameters = 0;
  std::int64_t parameter_bytes = 0;
};

struct EngineOptions {
  Device device;
  Optimization optimization = Optimization::kFreeze;
  Precision precision = Precision::kPackaged;  ///< or kBFloat16, kInt8
  int threads = 1;  ///< for one operator
  std::vector<std::string> allow_ops;
  std::vector<std::string> skip_passes{};  ///< of the engine graph
};

struct LoadedEngine {
  std::unique_ptr<Engine> engine;
  ProgramInfo program;
  Optimization applied = Optimization::kNone;  ///< what the engine was able to do
  std::string reason;                          ///< why it is less than was asked for; else empty
};

}  // namespace portfire
