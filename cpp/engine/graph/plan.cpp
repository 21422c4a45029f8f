#include "engine/graph/plan.h"

#include <ATen/Functions.h>
#include <ATen/ScalarOps.h>
#include <ATen/core/function_schema.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"
#include "engine/graph/weights.h"
#include "engine/libtorch/convert.h"

namespace portfire::graph {
namespace {

using c10::IValue;
using c10::TypeKind;
using c10::TypePtr;
using exported::Value;
using Kind = Value::Kind;

class Planner {
 public:
  Planner(const exported::Program& program, const Archive& archive, Device device, const std::vector<std::string>& allow_ops)
      : program_(program), archive_(archive), device_(device), allow_ops_(allow_ops) {}

  Plan plan() {
    for (const exported::Weight& weight : program_.weights) {
      const at::Tensor tensor = weight_tensor(archive_, weight, device_);
      plan_.weights.emplace(tensor.storage().unsafeGetStorageImpl(), tensor.storage());
      weights_[weight.value] = tensor;
    }
    for (const std::string& input : program_.inputs) plan_.inputs.push_back(new_slot(input));
    for (const exported::Node& node : program_.nodes) plan_.steps.push_back(step(node));
    for (const Value& output : program_.outputs) plan_.outputs.push_back(any(output));
    free_slots_early();
    return std::move(plan_);
  }

 private:
  [[noreturn]] void invalid(const std::string& node, const std::string& what) const {
    throw Error(ErrorCode::kInvalidPackage, cat(archive_.path(), ": ", quoted(node), ": ", what));
  }

  int new_slot(const std::string& value) { return slots_[value] = plan_.slots++; }

  Step step(const exported::Node& node) {
    Step step{.op = find_operator(node.target, node.arguments.size(), allow_ops_, archive_.path()), .name = node.name,
              .operands = {}, .outputs = {}, .lists = {}, .written = {}, .last_uses = {}};
    if (step.op.handle) {
      call(step, node);
    } else {
      for (const exported::Argument& argument : node.arguments) step.operands.push_back(any(argument.value));
      if (node.outputs.size() != 1) invalid(node.name, "arithmetic gives one number");
    }
    for (const Value& output : node.outputs) add_output(step, output);
    return step;
  }

  void call(Step& step, const exported::Node& node) {
    const c10::FunctionSchema& schema = step.op.handle->schema();
    std::map<std::string, const Value*> given;
    for (const exported::Argument& argument : node.arguments) {
      if (!given.emplace(argument.name, &argument.value).second) invalid(node.name, cat("the argument ", quoted(argument.name), " is given twice"));
    }
    for (const c10::Argument& argument : schema.arguments()) {
      const auto found = given.find(argument.name());
      if (argument.alias_info() != nullptr && argument.alias_info()->isWrite()) step.written.push_back(step.operands.size());
      if (found != given.end()) {
        step.operands.push_back(operand(*found->second, argument.type(), cat(node.name, ".", argument.name())));
      } else if (argument.default_value()) {
        step.operands.push_back({.constant = *argument.default_value()});
      } else {
        invalid(node.name, cat("the argument ", quoted(argument.name()), " of ", step.op.name, " is missing"));
      }
      if (!step.written.empty() && step.written.back() + 1 == step.operands.size() && step.operands.back().constant.isTensor()) {
        throw Error(ErrorCode::kUnsupported, cat(archive_.path(), ": ", step.op.name, " writes to the weight ", quoted(found->second->text),
                                                 "; models without state are supported"));
      }
      const bool is_device = argument.name() == "device" && !step.operands.back().constant.isNone();
      if (is_device) step.operands.back().constant = libtorch::torch_device(device_);
    }
    for (const auto& [name, value] : given) {
      if (!schema.argumentIndexWithName(name)) invalid(node.name, cat(step.op.name, " has no argument ", quoted(name)));
    }
    if (schema.returns().size() != node.outputs.size() && !(schema.returns().empty() && is_nothing(node))) {
      invalid(node.name, cat(step.op.name, " gives ", schema.returns().size(), " values; the node names ", node.outputs.size()));
    }
    plan_.writes |= !step.written.empty();
  }

  static bool is_nothing(const exported::Node& node) {
    return std::all_of(node.outputs.begin(), node.outputs.end(), [](const Value& value) { return value.kind == Kind::kNone; });
  }

  void add_output(Step& step, const Value& output) {
    std::vector<int> slots;
    if (output.kind == Kind::kName) slots.push_back(new_slot(output.text));
    for (const Value& item : output.items) slots.push_back(item.kind == Kind::kName ? new_slot(item.text) : Operand::kNoSlot);
    step.outputs.push_back(std::move(slots));
    step.lists.push_back(output.kind == Kind::kList);
  }

  Operand named(const std::string& value, bool is_tensor) const {
    const auto weight = weights_.find(value);
    if (weight != weights_.end()) return {.constant = weight->second};
    return {.slot = slots_.at(value), .is_tensor = is_tensor};  // the reader has seen that it is there
  }

  /// Without a schema: an output of the program, or an argument of arithmetic.
  Operand any(const Value& value) const {
    switch (value.kind) {
      case Kind::kName: return named(value.text, false);
      case Kind::kBool: return {.constant = value.integer != 0};
      case Kind::kInt: return {.constant = value.integer};
      case Kind::kFloat: return {.constant = value.real};
      case Kind::kNone: return {};
      case Kind::kList: {
        Operand list{.items = {}, .element = c10::TensorType::get()};
        for (const Value& item : value.items) list.items.push_back(any(item));
        return list;
      }
      default: invalid("output", "neither a tensor nor a number");
    }
  }

  Operand operand(const Value& value, const TypePtr& type, const std::string& where) const {
    if (type->kind() == TypeKind::OptionalType) {
      if (value.kind == Kind::kNone) return {};
      return operand(value, type->expectRef<c10::OptionalType>().getElementType(), where);
    }
    if (value.kind == Kind::kName) return named(value.text, type->kind() == TypeKind::TensorType);
    if (value.kind == Kind::kList && type->kind() == TypeKind::ListType) {
      return list(value, type->expectRef<c10::ListType>().getElementType(), where);
    }
    if (std::optional<IValue> constant = constant_of(value, type->kind())) return {.constant = std::move(*constant)};
    invalid(where, cat("its value does not fit the type ", type->annotation_str()));
  }

  /// A value that is written out, as the type that the operator takes.
  std::optional<IValue> constant_of(const Value& value, TypeKind type) const {
    const bool number = type == TypeKind::NumberType;
    switch (value.kind) {
      case Kind::kBool:
        if (type == TypeKind::BoolType || number) return IValue(value.integer != 0);
        if (type == TypeKind::TensorType) return wrapped(value.integer != 0);
        break;
      case Kind::kInt:
        if (type == TypeKind::IntType || number) return IValue(value.integer);
        if (type == TypeKind::FloatType) return IValue(static_cast<double>(value.integer));
        if (type == TypeKind::TensorType) return wrapped(value.integer);
        break;
      case Kind::kFloat:
        if (type == TypeKind::FloatType || number) return IValue(value.real);
        if (type == TypeKind::TensorType) return wrapped(value.real);
        break;
      case Kind::kString:
        if (type == TypeKind::StringType) return IValue(value.text);
        break;
      case Kind::kDType:
        if (type == TypeKind::IntType) return IValue(static_cast<std::int64_t>(libtorch::scalar_type_of(value.dtype)));
        break;
      case Kind::kLayout:
        if (type == TypeKind::IntType) return IValue(static_cast<std::int64_t>(at::kStrided));
        break;
      case Kind::kMemoryFormat:
        if (type == TypeKind::IntType) return memory_format(value.integer);
        break;
      case Kind::kDevice:
        if (type == TypeKind::DeviceObjType) return IValue(libtorch::torch_device(device_));
        break;
      default: break;
    }
    return std::nullopt;
  }

  static IValue wrapped(const c10::Scalar& scalar) {
    at::Tensor tensor = at::scalar_to_tensor(scalar);
    tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
    return tensor;
  }

  static std::optional<IValue> memory_format(std::int64_t number) {
    constexpr at::MemoryFormat kFormats[] = {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast,
                                             at::MemoryFormat::ChannelsLast3d, at::MemoryFormat::Preserve};
    if (number < 1 || number > 4) return std::nullopt;
    return IValue(static_cast<std::int64_t>(kFormats[number - 1]));
  }

  Operand list(const Value& value, const TypePtr& element, const std::string& where) const {
    Operand list{.items = {}, .element = element};
    for (const Value& item : value.items) list.items.push_back(operand(item, element, where));
    const auto known = [](const Operand& item) { return item.slot == Operand::kNoSlot && item.items.empty(); };
    if (!std::all_of(list.items.begin(), list.items.end(), known)) return list;
    c10::impl::GenericList constants(element);
    for (Operand& item : list.items) constants.push_back(std::move(item.constant));
    return {.constant = std::move(constants)};
  }

  static void note_uses(const Operand& operand, std::vector<int>& uses) {
    if (operand.slot != Operand::kNoSlot) uses.push_back(operand.slot);
    for (const Operand& item : operand.items) note_uses(item, uses);
  }

  /// Tensors go back to the allocator as soon as nothing will read them.
  void free_slots_early() {
    std::vector<bool> needed(static_cast<std::size_t>(plan_.slots), false);
    std::vector<int> uses;
    for (const Operand& output : plan_.outputs) note_uses(output, uses);
    for (const int slot : uses) needed[static_cast<std::size_t>(slot)] = true;
    for (auto step = plan_.steps.rbegin(); step != plan_.steps.rend(); ++step) {
      uses.clear();
      for (const Operand& operand : step->operands) note_uses(operand, uses);
      for (const std::vector<int>& slots : step->outputs) uses.insert(uses.end(), slots.begin(), slots.end());
      for (const int slot : uses) {
        if (slot == Operand::kNoSlot || needed[static_cast<std::size_t>(slot)]) continue;
        needed[static_cast<std::size_t>(slot)] = true;
        step->last_uses.push_back(slot);
      }
    }
  }

  const exported::Program& program_;
  const Archive& archive_;
  Device device_;
  const std::vector<std::string>& allow_ops_;
  Plan plan_;
  std::map<std::string, int> slots_;
  std::map<std::string, at::Tensor> weights_;
};

}  // namespace

Plan make_plan(const exported::Program& program, const Archive& archive, Device device,
               const std::vector<std::string>& allow_ops) {
  return Planner(program, archive, device, allow_ops).plan();
}

}  // namespace portfire::graph
