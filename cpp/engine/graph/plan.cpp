#include "engine/graph/plan.h"

#include <ATen/ScalarOps.h>
#include <ATen/core/function_schema.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"
#include "engine/graph/control_flow.h"
#include "engine/graph/weights.h"
#include "engine/graph/writes.h"
#include "engine/libtorch/convert.h"

namespace portfire::graph {
namespace {

using c10::IValue;
using c10::TypeKind;
using c10::TypePtr;
using exported::Value;
using Kind = Value::Kind;

constexpr std::string_view kHigherOrder = "torch.ops.higher_order.";

/// What all the blocks of a plan share.
struct Surroundings {
  const Archive& archive;
  Device device;
  const std::vector<std::string>& allow_ops;
  std::shared_ptr<Storages> storages = std::make_shared<Storages>();
  bool writes = false;
};

/// Plans one graph: the program's, or within it a branch's or a loop's.
class Planner {
 public:
  Planner(const exported::Graph& graph, Surroundings& surroundings) : graph_(graph), all_(surroundings) {
    for (const std::string& input : graph.inputs) block_.inputs.push_back(new_slot(input));
  }

  /// A weight that nothing writes to.
  void add_constant(const std::string& value, const at::Tensor& tensor) {
    all_.storages->add(tensor);
    weights_[value] = tensor;
  }

  /// One more input.
  void add_state(const std::string& value) { block_.inputs.push_back(new_slot(value)); }

  Block block() {
    for (const exported::Node& node : graph_.nodes) {
      block_.steps.push_back(node.target.starts_with(kHigherOrder) ? control_flow(node) : step(node));
    }
    for (const Value& output : graph_.outputs) block_.outputs.push_back(any(output));
    block_.weights = all_.storages;
    free_slots_early(block_);
    return std::move(block_);
  }

 private:
  [[noreturn]] void invalid(const std::string& node, const std::string& what) const {
    throw Error(ErrorCode::kInvalidPackage, cat(all_.archive.path(), ": ", quoted(node), ": ", what));
  }

  int new_slot(const std::string& value) {
    const auto shape = graph_.shapes.find(value);
    block_.shapes.push_back(shape == graph_.shapes.end() ? std::vector<std::string>{} : shape->second);
    return slots_[value] = block_.slots++;
  }

  Step step(const exported::Node& node) {
    Step step{.op = find_operator(node.target, node.arguments.size(), all_.allow_ops, all_.archive.path()), .name = node.name,
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

  Step control_flow(const exported::Node& node) {
    Step step{.op = {.name = node.target.substr(std::string_view("torch.ops.").size())}, .name = node.name,
              .operands = {}, .outputs = {}, .lists = {}, .written = {}, .last_uses = {}};
    const bool wrote = std::exchange(all_.writes, false);
    std::vector<Block> graphs;
    std::vector<std::size_t> lists;
    for (const exported::Argument& argument : node.arguments) {
      const Value& value = argument.value;
      if (value.kind == Kind::kGraph) {
        graphs.push_back(Planner(*value.graph, all_).block());
      } else if (value.kind == Kind::kList) {
        lists.push_back(value.items.size());
        for (const Value& item : value.items) step.operands.push_back(any(item));
      } else {
        step.operands.push_back(is_value(value) ? any(value) : Operand{});
      }
    }
    step.writes_within = all_.writes;
    all_.writes |= wrote;
    for (const Value& output : node.outputs) {
      if (output.kind != Kind::kList) add_output(step, output);
      for (const Value& item : output.items) add_output(step, item);
    }
    ControlFlow found = find_control_flow(node.target.substr(kHigherOrder.size()), std::move(graphs), lists, step.outputs.size());
    if (!found.kernel || found.skipped > step.operands.size()) {
      throw Error(ErrorCode::kUnsupported, cat(all_.archive.path(), ": the operator ", quoted(node.target), " is not supported as it is used here"));
    }
    step.operands.erase(step.operands.begin(), step.operands.begin() + static_cast<std::ptrdiff_t>(found.skipped));
    step.op.kernel = std::move(found.kernel);
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
      if (writes_to(node, argument)) step.written.push_back(step.operands.size());
      if (found != given.end()) {
        step.operands.push_back(operand(*found->second, argument.type(), cat(node.name, ".", argument.name())));
      } else if (argument.default_value()) {
        step.operands.push_back({.constant = *argument.default_value()});
      } else {
        invalid(node.name, cat("the argument ", quoted(argument.name()), " of ", step.op.name, " is missing"));
      }
      const bool is_device = argument.name() == "device" && !step.operands.back().constant.isNone();
      if (is_device) step.operands.back().constant = libtorch::torch_device(all_.device);
    }
    for (const auto& [name, value] : given) {
      if (!schema.argumentIndexWithName(name)) invalid(node.name, cat(step.op.name, " has no argument ", quoted(name)));
    }
    if (schema.returns().size() != node.outputs.size() && !(schema.returns().empty() && is_nothing(node))) {
      invalid(node.name, cat(step.op.name, " gives ", schema.returns().size(), " values; the node names ", node.outputs.size()));
    }
    all_.writes |= !step.written.empty();
  }

  static bool is_value(const Value& value) {
    return value.kind == Kind::kName || value.kind == Kind::kBool || value.kind == Kind::kInt || value.kind == Kind::kFloat;
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
        if (type == TypeKind::TensorType) return IValue(wrapped_number(value.integer != 0));
        break;
      case Kind::kInt:
        if (type == TypeKind::IntType || number) return IValue(value.integer);
        if (type == TypeKind::FloatType) return IValue(static_cast<double>(value.integer));
        if (type == TypeKind::TensorType) return IValue(wrapped_number(value.integer));
        break;
      case Kind::kFloat:
        if (type == TypeKind::FloatType || number) return IValue(value.real);
        if (type == TypeKind::TensorType) return IValue(wrapped_number(value.real));
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
        if (type == TypeKind::DeviceObjType) return IValue(libtorch::torch_device(all_.device));
        break;
      default: break;
    }
    return std::nullopt;
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

  const exported::Graph& graph_;
  Surroundings& all_;
  Block block_;
  std::map<std::string, int> slots_;
  std::map<std::string, at::Tensor> weights_;
};

void note_uses(const Operand& operand, std::vector<int>& uses) {
  if (operand.slot != Operand::kNoSlot) uses.push_back(operand.slot);
  for (const Operand& item : operand.items) note_uses(item, uses);
}

}  // namespace

void Storages::add(const at::Tensor& tensor) {
  c10::StorageImpl* const storage = tensor.storage().unsafeGetStorageImpl();
  all_.emplace(storage, c10::weak_intrusive_ptr<c10::StorageImpl>(c10::intrusive_ptr<c10::StorageImpl>::reclaim_copy(storage)));
}

bool Storages::contains(const at::Tensor& tensor) const { return all_.contains(tensor.storage().unsafeGetStorageImpl()); }

void free_slots_early(Block& block) {
  std::vector<bool> needed(static_cast<std::size_t>(block.slots), false);
  std::vector<int> uses;
  for (const Operand& output : block.outputs) note_uses(output, uses);
  for (const int slot : uses) needed[static_cast<std::size_t>(slot)] = true;
  for (auto step = block.steps.rbegin(); step != block.steps.rend(); ++step) {
    uses.clear();
    for (const Operand& operand : step->operands) note_uses(operand, uses);
    for (const std::vector<int>& slots : step->outputs) uses.insert(uses.end(), slots.begin(), slots.end());
    step->last_uses.clear();
    for (const int slot : uses) {
      if (slot == Operand::kNoSlot || needed[static_cast<std::size_t>(slot)]) continue;
      needed[static_cast<std::size_t>(slot)] = true;
      step->last_uses.push_back(slot);
    }
  }
}

at::Tensor wrapped_number(const c10::Scalar& scalar) {
  at::Tensor tensor = at::scalar_to_tensor(scalar);
  tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
  return tensor;
}

Plan make_plan(const exported::Program& program, const Archive& archive, Weights& weights, Device device,
               const std::vector<std::string>& allow_ops) {
  Surroundings surroundings{.archive = archive, .device = device, .allow_ops = allow_ops};
  Planner planner(program.graph, surroundings);
  const std::set<std::string> written = written_weights(program);
  Plan plan;
  for (const exported::Weight& weight : program.weights) {
    const at::Tensor tensor = weights.tensor(weight);
    if (written.contains(weight.value)) {
      settle(tensor);
      planner.add_state(weight.value);
      plan.state.push_back(tensor);
    } else {
      planner.add_constant(weight.value, tensor);
    }
  }
  plan.block = planner.block();
  plan.numbers = program.numbers;
  plan.conditions = program.conditions;
  plan.writes = surroundings.writes;
  return plan;
}

}  // namespace portfire::graph
