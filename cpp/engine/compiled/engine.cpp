#include <torch/csrc/inductor/aoti_runner/model_container_runner_cpu.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include <portfire/error.h>

#include "archive/compiled_program.h"
#include "archive/exported_program.h"
#include "core/text.h"
#include "engine/compiled/compiled.h"
#include "engine/compiled/platform.h"
#include "engine/compiled/shared_object.h"
#include "engine/compiled/soundness.h"
#include "engine/graph/graph.h"
#include "engine/graph/operators.h"
#include "engine/libtorch/base_engine.h"
#include "engine/libtorch/convert.h"
#include "engine/libtorch/translate.h"

namespace portfire::compiled {
namespace {

/// Holds every call to what the code was compiled for. The code itself looks at nothing.
class Gate {
 public:
  Gate(MethodSpec signature, std::vector<exported::SizeCondition> conditions) : signature_(std::move(signature)), conditions_(std::move(conditions)) {}

  void check(const std::string& context, std::span<const Tensor> inputs) const {
    const auto refuse = [&](const std::string& what) { throw Error(ErrorCode::kInvalidInput, cat(context, ": ", what)); };
    if (inputs.size() != signature_.inputs.size()) refuse(cat(inputs.size(), " inputs; it takes ", signature_.inputs.size()));
    std::map<std::string, std::int64_t> symbols;
    std::vector<exported::InputSize> sizes;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const TensorSpec& spec = signature_.inputs[k];
      const Dims& shape = inputs[k].shape();
      const std::string found = cat(spec.name, ": ", name_of(inputs[k].dtype()), " ", shape.to_string());
      if (inputs[k].dtype() != spec.dtype || shape.size() != spec.shape.size()) refuse(cat(found, "; it was compiled for ", name_of(spec.dtype), " of ", spec.shape.size(), " axes"));
      for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        const Dimension& wanted = spec.shape[axis];
        const bool fits = wanted.symbol.empty() ? shape[axis] == wanted.size
                                                : shape[axis] >= wanted.least && shape[axis] <= wanted.most &&
                                                      symbols.emplace(wanted.symbol, shape[axis]).first->second == shape[axis];
        if (!fits) refuse(cat(found, "; axis ", axis, " is another size than it was compiled for"));
      }
      sizes.push_back({.shape = shape});
    }
    for (const exported::SizeCondition& condition : conditions_) {
      if (!condition.holds(sizes)) refuse(cat("it was compiled for sizes with ", condition.text()));
    }
  }

 private:
  MethodSpec signature_;
  std::vector<exported::SizeCondition> conditions_;
};

class CompiledEngine final : public libtorch::BaseEngine {
 public:
  CompiledEngine(std::unique_ptr<Engine> stages, Gate gate, bool works_in_place, std::span<const std::byte> code, const EngineOptions& options, const std::string& path)
      : BaseEngine(path, options.device, options.threads), stages_(std::move(stages)), gate_(std::move(gate)),
        works_in_place_(works_in_place), object_(code, path),
        runner_(object_.path(), static_cast<std::size_t>(cpu_budget())) {}

  std::vector<NamedTensor> call(const std::string& method, std::span<const Tensor> inputs) const override {
    if (method != "forward") return stages_->call(method, inputs);
    std::vector<NamedTensor> outputs;
    for (Tensor& output : forward(inputs)) outputs.push_back({.name = cat("output_", outputs.size()), .tensor = std::move(output)});
    if (outputs.size() == 1) outputs.front().name = "output";
    return outputs;
  }

  std::vector<Tensor> forward_in_place(std::span<const Tensor>) const override {
    throw Error(ErrorCode::kUnsupported, cat(name(), ": compiled code keeps no state; use the engine graph or torchscript"));
  }

  std::vector<Tensor> forward(std::span<const Tensor> inputs) const override {
    gate_.check(context(), inputs);
    return libtorch::translated(ErrorCode::kInvalidInput, context(), [&] {
      const libtorch::CallScope scope(threads(), memory());
      std::vector<at::Tensor> taken;
      taken.reserve(inputs.size());
      for (const Tensor& input : inputs) taken.push_back(plain(libtorch::to_torch(input)));
      std::vector<Tensor> outputs;
      for (at::Tensor& output : runner_.run(taken)) outputs.push_back(libtorch::from_torch(std::move(output)));
      return outputs;
    });
  }

  bool has_method(const std::string& method) const override { return stages_->has_method(method); }

 private:
  /// As the code was compiled for: in one piece, and where a vector register may be loaded from. A copy where the
  /// program works in place: what it was told of its inputs is the caller's.
  at::Tensor plain(const at::Tensor& tensor) const {
    constexpr std::uintptr_t kAlignment = 64;
    const at::Tensor whole = tensor.cpu().contiguous();
    const bool usable = reinterpret_cast<std::uintptr_t>(whole.data_ptr()) % kAlignment == 0;
    return usable && !(works_in_place_ && whole.data_ptr() == tensor.data_ptr()) ? whole : whole.clone();
  }

  std::unique_ptr<Engine> stages_;
  Gate gate_;
  bool works_in_place_;
  SharedObject object_;
  // As many copies of its state as there are processors: a call takes one or waits. It locks itself.
  mutable torch::inductor::AOTIModelContainerRunnerCpu runner_;
};

/// An index that is out of range ends the process in compiled code, so something must have said what the range is.
void require_ranges(const Archive& archive, const std::optional<Manifest>& manifest) {
  const MethodSpec* forward = manifest ? manifest->method("forward") : nullptr;
  if (forward == nullptr) {
    throw Error(ErrorCode::kUnsupported, cat(archive.path(), ": has no manifest, and compiled code trusts its caller; write it with portfire.package"));
  }
  for (const TensorSpec& input : forward->inputs) {
    if (is_floating_point(input.dtype) || input.dtype == DType::kBool || (input.minimum && input.maximum)) continue;
    throw Error(ErrorCode::kUnsupported, cat(archive.path(), ": the manifest gives no minimum and maximum for the integers of ", quoted(input.name),
                                             ", and compiled code does not check indices; use the engine graph, or give them when packaging"));
  }
}

bool works_in_place(const exported::Program& program) {
  return std::any_of(program.graph.nodes.begin(), program.graph.nodes.end(), [](const exported::Node& node) {
    const auto found = graph::find_schema(node.target);
    if (!found) return false;
    const auto& arguments = found->schema().arguments();
    return std::any_of(arguments.begin(), arguments.end(), [](const c10::Argument& argument) { return argument.alias_info() != nullptr && argument.alias_info()->isWrite(); });
  });
}

exported::CompiledProgram program_for(const Archive& archive, Device device) {
  std::string reasons;
  for (exported::CompiledProgram& program : exported::compiled_programs(archive)) {
    const std::string difference = what_differs(program, device);
    if (difference.empty()) return program;
    reasons += cat(reasons.empty() ? "" : "; ", "compiled for ", program.target(), ", but ", difference);
  }
  throw Error(ErrorCode::kUnsupported, cat(archive.path(), ": ", reasons.empty() ? "holds no compiled program" : reasons, "; use the engine graph"));
}

}  // namespace

bool is_compiled(const Archive& archive) { return !exported::compiled_programs(archive).empty(); }

std::string targets(const Archive& archive) {
  std::string text;
  for (const exported::CompiledProgram& program : exported::compiled_programs(archive)) text += cat(text.empty() ? "" : "; ", program.target());
  return text;
}

LoadedEngine load(const Archive& archive, const std::optional<Manifest>& manifest, const EngineOptions& options) {
  if (options.device.kind != Device::Kind::kCpu) {
    throw Error(ErrorCode::kUnsupported, cat(archive.path(), ": compiled code runs on the CPU only; ", options.device.to_string(), " needs the engine graph"));
  }
  const exported::CompiledProgram code = program_for(archive, options.device);
  require_ranges(archive, manifest);
  exported::Program program = exported::read_program(archive, "forward");
  const std::string unsound = why_unsound(program);
  if (!unsound.empty()) throw Error(ErrorCode::kUnsupported, cat(archive.path(), ": ", unsound, "; use the engine graph"));
  if (!program.numbers.empty()) throw Error(ErrorCode::kUnsupported, cat(archive.path(), ": forward takes numbers, which compiled code does not; use the engine graph"));
  LoadedEngine loaded = graph::load(archive, options);
  const bool in_place = works_in_place(program);
  loaded.engine = libtorch::translated(ErrorCode::kUnsupported, archive.path(), [&]() -> std::unique_ptr<Engine> {
    return std::make_unique<CompiledEngine>(std::move(loaded.engine), Gate(std::move(program.signature), std::move(program.conditions)), in_place,
                                            archive.read(code.record), options, archive.path());
  });
  return loaded;
}

}  // namespace portfire::compiled
