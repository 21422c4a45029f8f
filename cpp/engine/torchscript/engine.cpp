#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/api/include/torch/cuda.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"
#include "engine/torchscript/allow_list.h"
#include "engine/torchscript/convert.h"
#include "engine/torchscript/describe.h"
#include "engine/torchscript/read.h"
#include "engine/torchscript/torchscript.h"
#include "engine/torchscript/translate.h"

namespace portfire::torchscript {
namespace {

/// OpenMP keeps its number of threads for each calling thread.
void use_threads(int threads) {
  thread_local int set = 0;
  if (set == threads) return;
  at::set_num_threads(threads);
  set = threads;
}

// Note [Executor]: LibTorch's profiling executor records the first calls of a graph and compiles it anew
// for what it saw, so that the second call of a model takes a hundred milliseconds. A frozen inference
// graph gains nothing from it on a CPU (there is no fuser in public builds): switched off, the first call
// runs as the hundredth does.
class CallScope {
 public:
  explicit CallScope(int threads) { use_threads(threads); }

 private:
  c10::InferenceMode inference_;
  torch::jit::GraphOptimizerEnabledGuard no_profiling_{false};
};

class TorchScriptEngine final : public Engine {
 public:
  TorchScriptEngine(torch::jit::Module module, const EngineOptions& options, bool stateful, std::string path)
      : module_(std::move(module)),
        self_(module_._ivalue()),
        device_(options.device),
        threads_(options.threads),
        stateful_(stateful),
        path_(std::move(path)) {
    for (const torch::jit::Method& method : module_.get_methods()) methods_[method.name()] = &method.function();
    const auto forward = methods_.find("forward");
    forward_ = forward == methods_.end() ? nullptr : forward->second;
  }

  std::vector<NamedTensor> call(const std::string& method, std::span<const Tensor> inputs) const override {
    const auto found = methods_.find(method);
    torch::jit::Function* function = found == methods_.end() ? nullptr : found->second;
    return translated(ErrorCode::kInvalidInput, context(method), [&] {
      const CallScope scope(threads_);
      return flatten(execute(function, method, inputs));
    });
  }

  std::vector<Tensor> forward(std::span<const Tensor> inputs) const override {
    return translated(ErrorCode::kInvalidInput, context_, [&] {
      const CallScope scope(threads_);
      c10::IValue out = execute(forward_, "forward", inputs);
      std::vector<Tensor> outputs;
      if (out.isTensor()) {
        outputs.push_back(from_torch(std::move(out).toTensor()));
      } else {
        for (NamedTensor& output : flatten(out)) outputs.push_back(std::move(output.tensor));
      }
      return outputs;
    });
  }

  Tensor stack(std::span<const Tensor> samples) const override {
    return translated(ErrorCode::kInvalidInput, context_, [&] {
      const CallScope scope(threads_);
      if (samples.size() == 1) return from_torch(to_torch(samples[0]).unsqueeze(0));
      std::vector<at::Tensor> rows;
      for (const Tensor& sample : samples) rows.push_back(to_torch(sample));
      return from_torch(at::stack(rows));
    });
  }

  Tensor to_cpu(const Tensor& tensor) const override {
    if (tensor.device().kind == Device::Kind::kCpu) return tensor;
    return translated(ErrorCode::kInternal, context_, [&] { return from_torch(to_torch(tensor).cpu()); });
  }

  Tensor image_tensor(const Tensor& image, const ImageTensorOptions& options) const override {
    return translated(ErrorCode::kInvalidArgument, context_, [&] {
      const CallScope scope(threads_);
      at::Tensor x = to_torch(image).permute({2, 0, 1}).to(at::kFloat).unsqueeze(0);
      if (options.height > 0 && options.width > 0) {
        x = at::_upsample_bilinear2d_aa(x, {options.height, options.width}, false);
      }
      if (options.channels == 1) {
        x = (x * at::tensor({0.299F, 0.587F, 0.114F}).view({1, 3, 1, 1})).sum(1, true);
      }
      const auto per_channel = [](const std::vector<double>& values) {
        return at::tensor(at::ArrayRef<double>(values), at::kFloat).view({1, -1, 1, 1});
      };
      x = x * options.scale;
      if (!options.mean.empty()) x = x - per_channel(options.mean);
      if (!options.deviation.empty()) x = x / per_channel(options.deviation);
      return from_torch(x.contiguous());
    });
  }

  bool has_method(const std::string& method) const override { return methods_.contains(method); }

 private:
  std::string context(const std::string& method) const { return cat(path_, ": ", method); }

  c10::IValue execute(torch::jit::Function* function, const std::string& method, std::span<const Tensor> inputs) const {
    if (function == nullptr) throw Error(ErrorCode::kUnsupported, cat(path_, ": it has no method ", method));
    const auto& arguments = function->getSchema().arguments();
    torch::jit::Stack stack;
    stack.reserve(arguments.size() + 1);
    stack.emplace_back(self_);
    for (std::size_t k = 0; k < inputs.size(); ++k) stack.push_back(argument(arguments, k, inputs[k]));
    if (stack.size() < arguments.size()) fill_defaults(arguments, stack, method);
    if (stack.size() > arguments.size()) wrong_count(arguments, method, inputs.size());
    std::unique_lock<std::mutex> lock(state_, std::defer_lock);
    if (stateful_) lock.lock();
    function->run(stack);
    return std::move(stack.back());
  }

  c10::IValue argument(const std::vector<c10::Argument>& arguments, std::size_t k, const Tensor& input) const {
    at::Tensor tensor = to_torch(input);
    if (k + 1 < arguments.size() && input.rank() == 0) {  // a number given as a tensor without axes
      switch (arguments[k + 1].type()->kind()) {
        case c10::TypeKind::IntType: return tensor.item().toLong();
        case c10::TypeKind::FloatType: return tensor.item().toDouble();
        case c10::TypeKind::BoolType: return tensor.item().toBool();
        default: break;
      }
    }
    if (input.device() != device_) tensor = tensor.to(torch_device(device_));
    return tensor;
  }

  void fill_defaults(const std::vector<c10::Argument>& arguments, torch::jit::Stack& stack, const std::string& method) const {
    for (std::size_t k = stack.size(); k < arguments.size(); ++k) {
      if (!arguments[k].default_value()) wrong_count(arguments, method, stack.size() - 1);
      stack.push_back(*arguments[k].default_value());
    }
  }

  [[noreturn]] void wrong_count(const std::vector<c10::Argument>& arguments, const std::string& method, std::size_t given) const {
    std::string names;
    for (std::size_t k = 1; k < arguments.size(); ++k) names += cat(k == 1 ? "" : ", ", arguments[k].name());
    throw Error(ErrorCode::kInvalidInput, cat(context(method), ": ", given, " inputs; it takes ", arguments.size() - 1,
                                              " (", names, ")"));
  }

  torch::jit::Module module_;
  c10::IValue self_;
  std::map<std::string, torch::jit::Function*> methods_;
  torch::jit::Function* forward_ = nullptr;
  Device device_;
  int threads_;
  bool stateful_;  // its graph writes to its own attributes: one call at a time
  mutable std::mutex state_;
  std::string path_;
  std::string context_ = path_ + ": forward";
};

void require_device(Device device) {
  if (device.kind == Device::Kind::kCpu) return;
  const auto count = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (device.index < count) return;
  throw Error(ErrorCode::kUnsupported,
              cat("device ", device.to_string(), " is not there: ",
                  count == 0 ? "this LibTorch finds no CUDA device; use cpu" : cat(count, " CUDA devices answer")));
}

}  // namespace

LoadedEngine load(const Archive& archive, const EngineOptions& options) {
  require_device(options.device);
  use_threads(options.threads);  // and no CallScope: freezing inlines only while the optimiser is on
  torch::jit::Module module = read_module(archive);
  const std::vector<MethodContents> contents = check_operators(module, options.allow_ops, archive.path());
  LoadedEngine loaded;
  loaded.program = describe_module(module, contents);
  const bool stateful = std::any_of(contents.begin(), contents.end(), [](const auto& c) { return c.stateful; });
  return translated(ErrorCode::kInvalidPackage, archive.path(), [&] {
    if (options.device.kind != Device::Kind::kCpu) module.to(torch_device(options.device));
    if (options.optimization != Optimization::kNone) {
      std::vector<std::string> others;
      for (const torch::jit::Method& method : module.get_methods()) {
        if (method.name() != "forward") others.push_back(method.name());
      }
      try {
        const bool full = options.optimization == Optimization::kFull;
        module = full ? torch::jit::optimize_for_inference(module, others) : torch::jit::freeze(module, others);
        loaded.applied = options.optimization;
      } catch (const std::exception& error) {
        loaded.reason = essence(error.what());
      }
    }
    loaded.engine = std::make_unique<TorchScriptEngine>(std::move(module), options, stateful, archive.path());
    return std::move(loaded);
  });
}

bool cuda_available() { return torch::cuda::is_available(); }

}  // namespace portfire::torchscript
