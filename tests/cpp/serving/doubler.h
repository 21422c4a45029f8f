#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <portfire/error.h>

#include "../tasks/fake_engine.h"
#include "serving/loaded.h"
#include "tasks/tensor.h"

namespace portfire::test {

/// Closed at first: who passes waits until it is opened.
class Gate {
 public:
  void open() {
    {
      const std::lock_guard lock(mutex_);
      open_ = true;
    }
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++came_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  /// Waits until so many have come.
  void wait_for(int came) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return came_ >= came; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int came_ = 0;
};

/// A model of x, float32 [N, W], to twice x; refuses negative numbers. `scale` tells models apart.
class Doubler {
 public:
  explicit Doubler(std::int64_t max_batch = 64, std::function<void()> before = {}, float scale = 2)
      : engine({{"forward", [before = std::move(before), scale](std::span<const Tensor> inputs) {
                   if (before) before();
                   Tensor out = Tensor::zeros(DType::kFloat32, inputs[0].shape());
                   auto* at = static_cast<float*>(out.mutable_data());
                   for (const float value : inputs[0].values<float>()) {
                     if (value < 0) throw Error(ErrorCode::kInvalidInput, "a negative number");
                     *at++ = scale * value;
                   }
                   return std::vector<NamedTensor>{{"output", out}};
                 }}}) {
    manifest.max_batch = max_batch;
    info.manifest = manifest;
    info.task = "tensor";
    info.signature = manifest.methods[0];
  }

  static serving::Loaded loaded(std::shared_ptr<const Doubler> self) {
    return {.owner = self, .info = &self->info, .engine = &self->engine, .pipeline = &self->pipeline};
  }

  static Manifest described() {
    TensorSpec x;
    x.name = "x";
    x.shape = {{.size = -1, .symbol = "N"}, {.size = -1, .symbol = "W"}};
    TensorSpec y = x;
    y.name = "y";
    Manifest made;
    made.name = "doubler";
    made.task = "tensor";
    made.methods = {{"forward", {x}, {y}}};
    return made;
  }

  Manifest manifest = described();
  ModelInfo info;
  FakeEngine engine;
  std::unique_ptr<Task> task = make_tensor_task();
  Pipeline pipeline{engine, *task, &manifest, &manifest.methods[0], {"x"}, "doubler"};
};

inline Tensor row(const std::vector<float>& values) { return Tensor::copy_of(values, {1, static_cast<std::int64_t>(values.size())}); }

}  // namespace portfire::test
