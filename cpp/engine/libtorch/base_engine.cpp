#include "engine/libtorch/base_engine.h"

#include <ATen/Parallel.h>
#include <ATen/ops/stack.h>
#include <torch/csrc/api/include/torch/cuda.h>

#include <algorithm>
#include <vector>

#include <portfire/error.h>

#include "core/text.h"
#include "core/thread_limit.h"
#include "engine/libtorch/convert.h"
#include "engine/libtorch/image_tensor.h"
#include "engine/libtorch/translate.h"

namespace portfire::libtorch {

void use_threads(int threads) {
  thread_local int set = 0;
  if (thread_limit() > 0) threads = std::min(threads, thread_limit());
  if (set == threads) return;
  at::set_num_threads(threads);
  set = threads;
}

Tensor BaseEngine::stack(std::span<const Tensor> samples) const {
  return translated(ErrorCode::kInvalidInput, context_, [&] {
    const CallScope scope(threads_, memory_);
    if (samples.size() == 1) return from_torch(to_torch(samples[0]).unsqueeze(0));
    std::vector<at::Tensor> rows;
    for (const Tensor& sample : samples) rows.push_back(to_torch(sample));
    return from_torch(at::stack(rows));
  });
}

void BaseEngine::require_here(std::span<const Tensor> inputs) const {
  for (const Tensor& input : inputs) {
    if (input.device() == device()) continue;
    throw Error(ErrorCode::kUnsupported, cat(name_, ": a tensor that is written to lies on ", input.device().to_string(), ", the model on ",
                                             device().to_string(), "; text is generated on the CPU only so far"));
  }
}

Tensor BaseEngine::to_cpu(const Tensor& tensor) const {
  if (tensor.device().kind == Device::Kind::kCpu) return tensor;
  return translated(ErrorCode::kInternal, context_, [&] { return from_torch(to_torch(tensor).cpu()); });
}

Tensor BaseEngine::image_tensor(const Tensor& image, const ImageTensorOptions& options) const {
  return translated(ErrorCode::kInvalidArgument, context_, [&] {
    const CallScope scope(threads_);
    return from_torch(libtorch::image_tensor(to_torch(image), options));
  });
}

void require_device(Device device) {
  if (device.kind == Device::Kind::kCpu) return;
  const auto count = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (device.index < count) return;
  throw Error(ErrorCode::kUnsupported,
              cat("device ", device.to_string(), " is not there: ",
                  count == 0 ? "this LibTorch finds no CUDA device; use cpu" : cat(count, " CUDA devices answer")));
}

}  // namespace portfire::libtorch
