#pragma once

#include <memory>
#include <span>
#include <string>

#include <portfire/tensor.h>

namespace portfire::torchscript {

/// A TorchScript file called as LibTorch's own tutorial does: `torch::jit::load`, `eval`, `forward` under
/// InferenceMode, nothing checked and nothing rewritten. What Portfire's overhead is measured against.
class PlainProgram {
 public:
  virtual ~PlainProgram() = default;
  virtual void set_inputs(std::span<const Tensor> inputs) = 0;
  virtual void call() = 0;
};

std::unique_ptr<PlainProgram> load_plain(const std::string& path, Device device, int threads);

}  // namespace portfire::torchscript
