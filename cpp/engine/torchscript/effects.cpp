#include "engine/torchscript/effects.h"

#include <ATen/core/class_type.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/passes/inliner.h>

namespace portfire::torchscript {
namespace {

using torch::jit::AliasDb;
using torch::jit::Block;
using torch::jit::Node;

bool is_module(const c10::Type& type) {
  const auto* const class_type = type.castRaw<c10::ClassType>();
  return class_type != nullptr && class_type->is_module();
}

/// A list, a dictionary or the like; not a tensor itself.
bool may_hold_tensors(const c10::Type& type) {
  const c10::TypeKind kind = type.kind();
  return kind == c10::TypeKind::ListType || kind == c10::TypeKind::DictType || kind == c10::TypeKind::TupleType ||
         kind == c10::TypeKind::AnyType || kind == c10::TypeKind::InterfaceType || kind == c10::TypeKind::FutureType ||
         (kind == c10::TypeKind::OptionalType && !type.isSubtypeOf(*c10::OptionalType::ofTensor())) ||
         (kind == c10::TypeKind::ClassType && !is_module(type));
}

/// One graph, with the graphs that its nodes hold (forks).
class Search {
 public:
  explicit Search(const std::shared_ptr<torch::jit::Graph>& graph)
      // As freezing does: each read of an attribute is a value of its own, apart from the arguments.
      : aliases_(graph, /*isFrozen=*/true) {
    walk(*graph->block());
    // What comes out of a container is anybody's for the analysis, so that a write to it shows nowhere.
    found_.writes_module |= holds_containers_ && writes_;
    for (const torch::jit::Value* input : graph->inputs()) {
      if (!is_module(*input->type())) found_.writes_inputs |= aliases_.hasWriters(input);
    }
  }

  [[nodiscard]] Effects found() const { return found_; }

 private:
  void walk(const Block& block) {
    for (const Node* node : block.nodes()) {
      if (node->kind() == c10::prim::SetAttr) found_.writes_module = true;
      if (node->kind() == c10::prim::GetAttr) attribute(*node->output());
      const c10::FunctionSchema* schema = node->maybeSchema();
      writes_ |= schema != nullptr && schema->is_mutable();
      for (const Block* inner : node->blocks()) walk(*inner);
      for (const c10::Symbol name : node->attributeNames()) {
        if (node->kindOf(name) == torch::jit::AttributeKind::g) inner(Search(node->g(name)).found());
      }
    }
  }

  void attribute(const torch::jit::Value& value) {
    found_.writes_module |= aliases_.hasWriters(&value);
    holds_containers_ |= may_hold_tensors(*value.type());
  }

  /// The arguments of an inner graph may be attributes as well as arguments of this one.
  void inner(Effects effects) {
    found_.writes_module |= effects.writes_module || effects.writes_inputs;
    found_.writes_inputs |= effects.writes_inputs;
  }

  AliasDb aliases_;
  Effects found_;
  bool holds_containers_ = false;  // reads a list or the like from the module
  bool writes_ = false;
};

}  // namespace

Effects effects_of(torch::jit::Function& method) {
  const auto graph = torch::jit::toGraphFunction(method).graph()->copy();
  torch::jit::Inline(*graph);
  return Search(graph).found();
}

}  // namespace portfire::torchscript
