#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/api/include/torch/cuda.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/runtime/interpreter.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"
#include "engine/torchscript/arguments.h"
#include "engine/torchscript/checked.h"
#include "engine/torchscript/convert.h"
#include "engine/torchscript/describe.h"
#include "engine/torchscript/effects.h"
#include "engine/torchscript/image_tensor.h"
#include "engine/torchscript/quiet.h"
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
  Quiet quiet_;
  c10::InferenceMode inference_;
  torch::jit::GraphOptimizerEnabledGuard no_profiling_{false};
};

/// What LibTorch's interpreter runs, compiled once: a call then takes no lock and asks no executor for a plan.
torch::jit::Code code_of(torch::jit::Function& function) {
  const torch::jit::GraphOptimizerEnabledGuard no_profiling{false};
  torch::jit::Stack none;  // only a profiling executor looks at it
  return torch::jit::toGraphFunction(function).get_executor().getPlanFor(none).code;
}

/// A method ready to be called.
struct Program {
  const c10::FunctionSchema* schema = nullptr;  ///< null: there is no such method
  torch::jit::Code code;
  bool writes_inputs = false;
};

const Program kNoProgram{};

class TorchScriptEngine final : public Engine {
 public:
  TorchScriptEngine(torch::jit::Module module, const EngineOptions& options, std::string path)
      : module_(std::move(module)),
        self_(module_._ivalue()),
        device_(options.device),
        threads_(options.threads),
        path_(std::move(path)) {
    for (const torch::jit::Method& method : module_.get_methods()) {
      const Effects effects = effects_of(method.function());
      methods_[method.name()] = {&method.function().getSchema(), code_of(method.function()), effects.writes_inputs};
      stateful_ |= effects.writes_module;
    }
    const auto forward = methods_.find("forward");
    if (forward != methods_.end()) forward_ = forward->second;
  }

  std::vector<NamedTensor> call(const std::string& method, std::span<const Tensor> inputs) const override {
    const auto found = methods_.find(method);
    const Program& program = found == methods_.end() ? kNoProgram : found->second;
    return translated(ErrorCode::kInvalidInput, context(method), [&] {
      const CallScope scope(threads_);
      return flatten(execute(program, method, inputs));
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
      return from_torch(torchscript::image_tensor(to_torch(image), options));
    });
  }

  bool has_method(const std::string& method) const override { return methods_.contains(method); }

 private:
  std::string context(const std::string& method) const { return cat(path_, ": ", method); }

  c10::IValue execute(const Program& program, const std::string& method, std::span<const Tensor> inputs) const {
    if (program.schema == nullptr) throw Error(ErrorCode::kUnsupported, cat(path_, ": it has no method ", method));
    const auto& arguments = program.schema->arguments();
    if (inputs.size() >= arguments.size()) wrong_count(arguments, method, inputs.size());
    std::unique_lock<std::mutex> lock(state_, std::defer_lock);  // outlives the stack and its shares
    torch::jit::Stack stack;
    stack.reserve(arguments.size() + 1);
    stack.emplace_back(self_);
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      stack.push_back(argument(arguments[k + 1], inputs[k], method, program.writes_inputs));
    }
    if (stack.size() < arguments.size()) fill_defaults(arguments, stack, method);
    if (stateful_) lock.lock();
    torch::jit::InterpreterState(program.code).run(stack);
    // An attribute may come out, which the next call may write to.
    return stateful_ ? stack.back().deepcopy() : std::move(stack.back());
  }

  c10::IValue argument(const c10::Argument& argument, const Tensor& input, const std::string& method, bool copied) const {
    if (argument.type()->kind() != c10::TypeKind::TensorType) {
      const c10::IValue value = argument_of(argument, input, context(method));
      if (!value.isTensor()) return value;
    }
    at::Tensor tensor = to_torch(input);
    if (input.device() != device_) return tensor.to(torch_device(device_));
    return copied ? tensor.clone() : tensor;
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
  std::map<std::string, Program> methods_;
  Program forward_;
  Device device_;
  int threads_;
  bool stateful_ = false;  // a method writes to the module's attributes: one call at a time
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
  const Quiet quiet;
  use_threads(options.threads);  // and no CallScope: freezing inlines only while the optimiser is on
  CheckedModule checked = read_checked(archive, options.allow_ops);
  LoadedEngine loaded;
  loaded.program = describe_module(checked.module, checked.contents);
  torch::jit::Module& module = checked.module;
  return translated(ErrorCode::kInvalidPackage, archive.path(), [&] {
    if (options.device.kind != Device::Kind::kCpu) module.to(torch_device(options.device));
    if (options.optimization != Optimization::kNone) {
      std::vector<std::string> others;
      for (const torch::jit::Method& method : module.get_methods()) {
        if (method.name() != "forward") others.push_back(method.name());
      }
      try {
        // Frozen first: `optimize_for_inference` would freeze too, but keep nothing besides `forward`.
        module = torch::jit::freeze(module, others);
        if (options.optimization == Optimization::kFull) module = torch::jit::optimize_for_inference(module, others);
        loaded.applied = options.optimization;
      } catch (const std::exception& error) {
        loaded.reason = essence(error.what());
      }
    }
    loaded.engine = std::make_unique<TorchScriptEngine>(std::move(module), options, archive.path());
    return std::move(loaded);
  });
}

bool cuda_available() { return torch::cuda::is_available(); }

}  // namespace portfire::torchscript
