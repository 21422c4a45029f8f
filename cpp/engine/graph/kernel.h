#pragma once

#include <ATen/core/stack.h>

namespace portfire::graph {

/// What a step does where it is no single operator of LibTorch. Thread-safe: one kernel serves every call.
class Kernel {
 public:
  virtual ~Kernel() = default;
  Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  /// Takes its arguments off the stack and leaves its results there.
  virtual void run(torch::jit::Stack& stack) const = 0;
};

}  // namespace portfire::graph
