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
#include "engine/libtorch/base_engine.h"
#include "engine/libtorch/convert.h"
#include "engine/libtorch/translate.h"
#include "engine/torchscript/arguments.h"
#include "engine/torchscript/checked.h"
#include "engine/torchscript/describe.h"
#include "engine/torchscript/effects.h"
#include "engine/torchscript/torchscript.h"

namespace portfire::torchscript {
namespace {

// Note [Executor]: LibTorch's profiling executor records the first calls of a graph and compiles it anew
// for what it saw, so that the second call of a model takes a hundred milliseconds. A frozen inference
// graph gains nothing from it on a CPU (there is no fuser in public builds): switched off, the first call
// runs as the hundredth does.
class CallScope {
 public:
  CallScope(int threads, const libtorch::KeptMemory& memory) : scope_(threads, memory) {}

 private:
  libtorch::CallScope scope_;
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

class TorchScriptEngine final : public libtorch::BaseEngine {
 public:
  TorchScriptEngine(torch::jit::Module module, const EngineOptions& options, std::string path)
      : BaseEngine(std::move(path), options.device, options.threads),
        module_(std::move(module)),
        self_(module_._ivalue()) {
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
    return libtorch::translated(ErrorCode::kInvalidInput, context_of(method), [&] {
      const CallScope scope(threads(), memory());
      return libtorch::flatten(execute(program, method, inputs));
    });
  }

  std::vector<Tensor> forward(std::span<const Tensor> inputs) const override { return run_forward(inputs, false); }

  std::vector<Tensor> forward_in_place(std::span<const Tensor> inputs) const override {
    require_here(inputs);
    return run_forward(inputs, true);
  }

  bool has_method(const std::string& method) const override { return methods_.contains(method); }

 private:
  std::vector<Tensor> run_forward(std::span<const Tensor> inputs, bool in_place) const {
    return libtorch::translated(ErrorCode::kInvalidInput, context(), [&] {
      const CallScope scope(threads(), memory());
      c10::IValue out = execute(forward_, "forward", inputs, in_place);
      std::vector<Tensor> outputs;
      if (out.isTensor()) {
        outputs.push_back(libtorch::from_torch(std::move(out).toTensor()));
      } else {
        for (NamedTensor& output : libtorch::flatten(out)) outputs.push_back(std::move(output.tensor));
      }
      return outputs;
    });
  }

  std::string context_of(const std::string& method) const { return cat(name(), ": ", method); }

  c10::IValue execute(const Program& program, const std::string& method, std::span<const Tensor> inputs, bool in_place = false) const {
    if (program.schema == nullptr) throw Error(ErrorCode::kUnsupported, cat(name(), ": it has no method ", method));
    const auto& arguments = program.schema->arguments();
    if (inputs.size() >= arguments.size()) wrong_count(arguments, method, inputs.size());
    std::unique_lock<std::mutex> lock(state_, std::defer_lock);  // outlives the stack and its shares
    torch::jit::Stack stack;
    stack.reserve(arguments.size() + 1);
    stack.emplace_back(self_);
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      stack.push_back(argument(arguments[k + 1], inputs[k], method, program.writes_inputs && !in_place));
    }
    if (stack.size() < arguments.size()) fill_defaults(arguments, stack, method);
    if (stateful_) lock.lock();
    torch::jit::InterpreterState(program.code).run(stack);
    // An attribute may come out, which the next call may write to.
    return stateful_ ? stack.back().deepcopy() : std::move(stack.back());
  }

  c10::IValue argument(const c10::Argument& argument, const Tensor& input, const std::string& method, bool copied) const {
    if (argument.type()->kind() != c10::TypeKind::TensorType) {
      const c10::IValue value = argument_of(argument, input, context_of(method));
      if (!value.isTensor()) return value;
    }
    at::Tensor tensor = libtorch::to_torch(input);
    if (input.device() != device()) return tensor.to(libtorch::torch_device(device()));
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
    throw Error(ErrorCode::kInvalidInput, cat(context_of(method), ": ", given, " inputs; it takes ", arguments.size() - 1,
                                              " (", names, ")"));
  }

  torch::jit::Module module_;
  c10::IValue self_;
  std::map<std::string, Program> methods_;
  Program forward_;
  bool stateful_ = false;  // a method writes to the module's attributes: one call at a time
  mutable std::mutex state_;
};

}  // namespace

LoadedEngine load(const Archive& archive, const EngineOptions& options) {
  libtorch::require_device(options.device);
  const libtorch::Quiet quiet;
  libtorch::use_threads(options.threads);  // and no CallScope: freezing inlines only while the optimiser is on
  CheckedModule checked = read_checked(archive, options.allow_ops);
  LoadedEngine loaded;
  loaded.program = describe_module(checked.module, checked.contents);
  torch::jit::Module& module = checked.module;
  return libtorch::translated(ErrorCode::kInvalidPackage, archive.path(), [&] {
    if (options.device.kind != Device::Kind::kCpu) module.to(libtorch::torch_device(options.device));
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
        loaded.reason = libtorch::essence(error.what());
      }
    }
    loaded.engine = std::make_unique<TorchScriptEngine>(std::move(module), options, archive.path());
    return std::move(loaded);
  });
}

bool cuda_available() { return torch::cuda::is_available(); }

}  // namespace portfire::torchscript
