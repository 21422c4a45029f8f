#include "engine/torchscript/plain.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/api/include/torch/cuda.h>
#include <torch/csrc/jit/serialization/import.h>

#include <vector>

#include <portfire/error.h>

#include "engine/libtorch/convert.h"
#include "engine/libtorch/translate.h"

namespace portfire::torchscript {
namespace {

class Plain final : public PlainProgram {
 public:
  Plain(const std::string& path, Device device) : module_(torch::jit::load(path, libtorch::torch_device(device))), device_(device) {
    module_.eval();
  }

  void set_inputs(std::span<const Tensor> inputs) override {
    inputs_.clear();
    for (const Tensor& input : inputs) inputs_.emplace_back(libtorch::to_torch(input).to(libtorch::torch_device(device_)));
  }

  void call() override {
    const c10::InferenceMode inference;
    const c10::IValue output = module_.forward(inputs_);
    if (device_.kind == Device::Kind::kCuda) torch::cuda::synchronize(device_.index);
  }

 private:
  torch::jit::Module module_;
  Device device_;
  std::vector<c10::IValue> inputs_;
};

}  // namespace

std::unique_ptr<PlainProgram> load_plain(const std::string& path, Device device, int threads) {
  return libtorch::translated(ErrorCode::kInvalidPackage, path, [&] {
    at::set_num_threads(threads);
    return std::make_unique<Plain>(path, device);
  });
}

}  // namespace portfire::torchscript
