#include <ATen/Functions.h>
#include <ATen/ScalarOps.h>

#include <algorithm>
#include <set>
#include <utility>

#include <portfire/error.h>

#include "archive/exported_program.h"
#include "core/text.h"
#include "engine/graph/graph.h"
#include "engine/graph/plan.h"
#include "engine/libtorch/base_engine.h"
#include "engine/libtorch/convert.h"
#include "engine/libtorch/translate.h"

namespace portfire::graph {
namespace {

using c10::IValue;

/// The values of one call.
class Frame {
 public:
  Frame(const Plan& plan, std::vector<IValue> inputs) : plan_(plan), slots_(static_cast<std::size_t>(plan.slots)) {
    for (std::size_t k = 0; k < inputs.size(); ++k) at(plan.inputs[k]) = std::move(inputs[k]);
  }

  void run(const Step& step) {
    stack_.clear();
    for (const Operand& operand : step.operands) stack_.push_back(value(operand));
    if (step.op.handle) {
      for (const std::size_t k : step.written) refuse_weight(step, stack_[k]);
      step.op.handle->callBoxed(stack_);
    } else {
      IValue number = step.op.number(stack_);
      stack_.clear();
      stack_.push_back(std::move(number));
    }
    for (std::size_t k = 0; k < step.outputs.size() && k < stack_.size(); ++k) keep(step, k);
    for (const int slot : step.last_uses) at(slot) = IValue();
  }

  IValue value(const Operand& operand) const {
    if (operand.slot != Operand::kNoSlot) {
      const IValue& found = slots_[static_cast<std::size_t>(operand.slot)];
      return operand.is_tensor && found.isScalar() ? wrapped(found.toScalar()) : found;
    }
    if (operand.items.empty()) return operand.constant;
    c10::impl::GenericList list(operand.element);
    for (const Operand& item : operand.items) list.push_back(value(item));
    return list;
  }

 private:
  IValue& at(int slot) { return slots_[static_cast<std::size_t>(slot)]; }

  static IValue wrapped(const c10::Scalar& scalar) {
    at::Tensor tensor = at::scalar_to_tensor(scalar);
    tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
    return tensor;
  }

  void refuse_weight(const Step& step, const IValue& written) const {
    if (written.isTensorList()) {
      for (const IValue& one : written.toListRef()) refuse_weight(step, one);
    }
    if (!written.isTensor() || !written.toTensor().has_storage()) return;
    if (!plan_.weights.contains(written.toTensor().storage().unsafeGetStorageImpl())) return;
    throw Error(ErrorCode::kUnsupported, cat(step.op.name, " writes to a weight; models without state are supported"));
  }

  void keep(const Step& step, std::size_t k) {
    const std::vector<int>& slots = step.outputs[k];
    if (!step.lists[k]) {
      if (!slots.empty()) at(slots[0]) = std::move(stack_[k]);
      return;
    }
    const c10::ArrayRef<IValue> items = stack_[k].toListRef();
    if (items.size() != slots.size()) {
      throw Error(ErrorCode::kInvalidInput, cat(step.op.name, " gave ", items.size(), " values; the program was exported for ", slots.size()));
    }
    for (std::size_t item = 0; item < slots.size(); ++item) {
      if (slots[item] != Operand::kNoSlot) at(slots[item]) = items[item];
    }
  }

  const Plan& plan_;
  std::vector<IValue> slots_;
  std::vector<IValue> stack_;
};

class GraphEngine final : public libtorch::BaseEngine {
 public:
  GraphEngine(Plan plan, const EngineOptions& options, std::string path)
      : BaseEngine(std::move(path), options.device, options.threads), plan_(std::move(plan)) {}

  std::vector<NamedTensor> call(const std::string& method, std::span<const Tensor> inputs) const override {
    if (!has_method(method)) throw Error(ErrorCode::kUnsupported, cat(name(), ": it has no method ", method));
    std::vector<NamedTensor> outputs;
    for (Tensor& output : forward(inputs)) outputs.push_back({.name = "output", .tensor = std::move(output)});
    if (outputs.size() > 1) {
      for (std::size_t k = 0; k < outputs.size(); ++k) outputs[k].name = cat("output_", k);
    }
    return outputs;
  }

  std::vector<Tensor> forward(std::span<const Tensor> inputs) const override {
    if (inputs.size() != plan_.inputs.size()) {
      throw Error(ErrorCode::kInvalidInput, cat(context(), ": ", inputs.size(), " inputs; it takes ", plan_.inputs.size()));
    }
    return libtorch::translated(ErrorCode::kInvalidInput, context(), [&] {
      const libtorch::CallScope scope(threads());
      Frame frame(plan_, taken(inputs));
      for (const Step& step : plan_.steps) frame.run(step);
      std::vector<Tensor> outputs;
      for (const Operand& output : plan_.outputs) {
        for (NamedTensor& one : libtorch::flatten(frame.value(output))) outputs.push_back(std::move(one.tensor));
      }
      return outputs;
    });
  }

  bool has_method(const std::string& method) const override { return method == "forward"; }

 private:
  std::vector<IValue> taken(std::span<const Tensor> inputs) const {
    std::vector<IValue> values;
    values.reserve(inputs.size());
    for (const Tensor& input : inputs) {
      at::Tensor tensor = libtorch::to_torch(input);
      if (input.device() != device()) {
        tensor = tensor.to(libtorch::torch_device(device()));
      } else if (plan_.writes) {
        tensor = tensor.clone();  // the caller's own is not to change
      }
      values.emplace_back(std::move(tensor));
    }
    return values;
  }

  Plan plan_;
};

std::string shape_text(const TensorSpec& spec) {
  std::string text = cat(name_of(spec.dtype), "[");
  for (std::size_t axis = 0; axis < spec.shape.size(); ++axis) {
    const Dimension& dimension = spec.shape[axis];
    text += cat(axis == 0 ? "" : ", ", dimension.symbol.empty() ? cat(dimension.size) : dimension.symbol);
  }
  return text + "]";
}

ProgramInfo info_of(const exported::Program& program, const Plan& plan) {
  ProgramInfo info;
  info.forward = program.signature;
  MethodInfo forward{.name = "forward", .arguments = {}, .returns = {}, .operators = {}};
  for (const TensorSpec& input : program.signature.inputs) forward.arguments.push_back({input.name, shape_text(input)});
  for (std::size_t k = 0; k < program.outputs.size(); ++k) forward.returns += k == 0 ? "Tensor" : ", Tensor";
  std::set<std::string> operators;
  for (const Step& step : plan.steps) {
    if (step.op.handle) operators.insert(step.op.name);
  }
  forward.operators.assign(operators.begin(), operators.end());
  info.methods.push_back(std::move(forward));
  for (const exported::Weight& weight : program.weights) {
    if (!weight.is_parameter) continue;
    std::int64_t count = 1;
    for (const std::int64_t size : weight.shape) count *= size;
    info.parameters += count;
    info.parameter_bytes += count * static_cast<std::int64_t>(size_of(weight.dtype));
  }
  return info;
}

}  // namespace

bool is_exported(const Archive& archive) { return archive.find("models/model.json") != nullptr; }

ProgramInfo describe(const Archive& archive, const std::vector<std::string>& allow_ops) {
  return libtorch::translated(ErrorCode::kInvalidPackage, archive.path(), [&] {
    const exported::Program program = exported::read_program(archive);
    return info_of(program, make_plan(program, archive, {}, allow_ops));
  });
}

LoadedEngine load(const Archive& archive, const EngineOptions& options) {
  libtorch::require_device(options.device);
  return libtorch::translated(ErrorCode::kInvalidPackage, archive.path(), [&] {
    const libtorch::CallScope scope(options.threads);
    const exported::Program program = exported::read_program(archive);
    Plan plan = make_plan(program, archive, options.device, options.allow_ops);
    LoadedEngine loaded;
    loaded.program = info_of(program, plan);
    loaded.engine = std::make_unique<GraphEngine>(std::move(plan), options, archive.path());
    return loaded;
  });
}

}  // namespace portfire::graph
