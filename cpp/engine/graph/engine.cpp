#include <ATen/core/Tensor.h>

#include <map>
#include <set>
#include <utility>

#include <portfire/error.h>

#include "archive/exported_program.h"
#include "core/text.h"
#include "engine/graph/graph.h"
#include "engine/graph/kernels/packed.h"
#include "engine/graph/passes/passes.h"
#include "engine/graph/plan.h"
#include "engine/graph/plan_text.h"
#include "engine/graph/run.h"
#include "engine/libtorch/base_engine.h"
#include "engine/libtorch/convert.h"
#include "engine/libtorch/translate.h"

namespace portfire::graph {
namespace {

using c10::IValue;

class GraphEngine final : public libtorch::BaseEngine {
 public:
  GraphEngine(std::map<std::string, Plan> plans, const EngineOptions& options, std::string path)
      : BaseEngine(std::move(path), options.device, options.threads), plans_(std::move(plans)), forward_(plans_.at("forward")) {}

  std::vector<NamedTensor> call(const std::string& method, std::span<const Tensor> inputs) const override {
    const auto plan = plans_.find(method);
    if (plan == plans_.end()) throw Error(ErrorCode::kUnsupported, cat(name(), ": it has no method ", method));
    std::vector<NamedTensor> outputs;
    for (Tensor& output : run(plan->second, cat(name(), ": ", method), inputs)) outputs.push_back({.name = "output", .tensor = std::move(output)});
    if (outputs.size() > 1) {
      for (std::size_t k = 0; k < outputs.size(); ++k) outputs[k].name = cat("output_", k);
    }
    return outputs;
  }

  std::vector<Tensor> forward(std::span<const Tensor> inputs) const override { return run(forward_, context(), inputs); }

  std::vector<Tensor> forward_in_place(std::span<const Tensor> inputs) const override {
    require_here(inputs);
    return run(forward_, context(), inputs, true);
  }

  bool has_method(const std::string& method) const override { return plans_.contains(method); }

 private:
  std::vector<Tensor> run(const Plan& plan, const std::string& context, std::span<const Tensor> inputs, bool in_place = false) const {
    const std::size_t wanted = plan.block.inputs.size() - plan.state.size();
    if (inputs.size() != wanted) {
      throw Error(ErrorCode::kInvalidInput, cat(context, ": ", inputs.size(), " inputs; it takes ", wanted));
    }
    if (!plan.conditions.empty()) check_sizes(plan, context, inputs);
    return libtorch::translated(ErrorCode::kInvalidInput, context, [&] {
      const libtorch::CallScope scope(threads(), memory());
      std::vector<Tensor> outputs;
      for (const IValue& output : run_block(plan.block, taken(plan, inputs, in_place))) {
        for (NamedTensor& one : libtorch::flatten(output)) outputs.push_back(std::move(one.tensor));
      }
      return outputs;
    });
  }

  static void check_sizes(const Plan& plan, const std::string& context, std::span<const Tensor> inputs) {
    std::vector<exported::InputSize> sizes;
    for (const Tensor& input : inputs) sizes.push_back({.shape = input.shape()});
    for (const std::size_t k : plan.numbers) sizes[k].number = libtorch::to_torch(inputs[k]).item().toLong();
    for (const exported::SizeCondition& condition : plan.conditions) {
      if (condition.holds(sizes)) continue;
      std::string shapes;
      for (const Tensor& input : inputs) shapes += cat(shapes.empty() ? "" : ", ", input.shape().to_string());
      throw Error(ErrorCode::kInvalidInput, cat(context, ": the program was exported for sizes with ", condition.text(), "; these are ", shapes));
    }
  }

  std::vector<IValue> taken(const Plan& plan, std::span<const Tensor> inputs, bool in_place) const {
    std::vector<IValue> values;
    values.reserve(plan.block.inputs.size());
    for (const Tensor& input : inputs) {
      at::Tensor tensor = libtorch::to_torch(input);
      if (input.device() != device()) {
        tensor = tensor.to(libtorch::torch_device(device()));
      } else if (plan.writes && !in_place) {
        tensor = tensor.clone();  // the caller's own is not to change
      }
      values.emplace_back(std::move(tensor));
    }
    for (const std::size_t k : plan.numbers) values[k] = IValue(values[k].toTensor().item());
    for (const at::Tensor& state : plan.state) values.emplace_back(state.clone());
    return values;
  }

  std::map<std::string, Plan> plans_;
  const Plan& forward_;
};

std::string shape_text(const TensorSpec& spec) {
  std::string text = cat(name_of(spec.dtype), "[");
  for (std::size_t axis = 0; axis < spec.shape.size(); ++axis) {
    const Dimension& dimension = spec.shape[axis];
    text += cat(axis == 0 ? "" : ", ", dimension.symbol.empty() ? cat(dimension.size) : dimension.symbol);
  }
  return text + "]";
}

void list_operators(const exported::Graph& graph, std::set<std::string>& operators) {
  for (const exported::Node& node : graph.nodes) {
    const auto schema = find_schema(node.target);
    if (schema) operators.insert(schema->operator_name().name);
    for (const exported::Argument& argument : node.arguments) {
      if (argument.value.graph) list_operators(*argument.value.graph, operators);
    }
  }
}

MethodInfo method_info(const exported::Program& program) {
  MethodInfo method{.name = program.signature.name, .arguments = {}, .returns = {}, .operators = {}};
  for (const TensorSpec& input : program.signature.inputs) method.arguments.push_back({input.name, shape_text(input)});
  for (std::size_t k = 0; k < program.graph.outputs.size(); ++k) method.returns += k == 0 ? "Tensor" : ", Tensor";
  std::set<std::string> operators;
  list_operators(program.graph, operators);
  method.operators.assign(operators.begin(), operators.end());
  return method;
}

void count_parameters(const exported::Program& program, ProgramInfo& info) {
  for (const exported::Weight& weight : program.weights) {
    if (!weight.is_parameter) continue;
    std::int64_t count = 1;
    for (const std::int64_t size : weight.shape) count *= size;
    info.parameters += count;
    info.parameter_bytes += count * static_cast<std::int64_t>(size_of(weight.dtype));
  }
}

struct Read {
  ProgramInfo info;
  std::map<std::string, Plan> plans;
};

/// `forward`, and whichever of the other stages are there.
Read read(const Archive& archive, Device device, const std::vector<std::string>& allow_ops) {
  Read out;
  Weights weights(archive, device);
  for (const std::string method : {"preprocess", "forward", "postprocess"}) {
    if (archive.find(exported::record_of(method)) == nullptr) continue;
    const exported::Program program = exported::read_program(archive, method);
    out.plans.emplace(method, make_plan(program, archive, weights, device, allow_ops));
    out.info.methods.push_back(method_info(program));
    if (method != "forward") continue;
    out.info.forward = program.signature;
    count_parameters(program, out.info);
  }
  return out;
}

/// Preparing a picture and naming the answer cost little; they keep their precision.
EngineOptions stage_options(EngineOptions options) {
  options.precision = Precision::kPackaged;
  return options;
}

}  // namespace

bool computes_in_bfloat16(Device device) { return device.kind == Device::Kind::kCpu && onednn_takes(at::kBFloat16); }

bool is_exported(const Archive& archive) { return archive.find(exported::record_of("forward")) != nullptr; }

ProgramInfo describe(const Archive& archive, const std::vector<std::string>& allow_ops) {
  return libtorch::translated(ErrorCode::kInvalidPackage, archive.path(), [&] { return read(archive, {}, allow_ops).info; });
}

std::string plan_text(const Archive& archive, const EngineOptions& options) {
  return libtorch::translated(ErrorCode::kInvalidPackage, archive.path(), [&] {
    const libtorch::CallScope scope(options.threads);
    std::string text;
    for (auto& [method, plan] : read(archive, options.device, options.allow_ops).plans) {
      optimize(plan, method == "forward" ? options : stage_options(options));
      text += cat(method, "\n", plan_text(plan.block));
    }
    return text;
  });
}

LoadedEngine load(const Archive& archive, const EngineOptions& options) {
  libtorch::require_device(options.device);
  return libtorch::translated(ErrorCode::kInvalidPackage, archive.path(), [&] {
    const libtorch::CallScope scope(options.threads);
    Read found = read(archive, options.device, options.allow_ops);
    for (auto& [method, plan] : found.plans) optimize(plan, method == "forward" ? options : stage_options(options));
    LoadedEngine loaded;
    loaded.program = std::move(found.info);
    loaded.applied = options.optimization;
    loaded.engine = std::make_unique<GraphEngine>(std::move(found.plans), options, archive.path());
    return loaded;
  });
}

}  // namespace portfire::graph
