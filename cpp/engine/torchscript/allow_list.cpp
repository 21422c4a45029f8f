#include "engine/torchscript/allow_list.h"

#include <ATen/core/function.h>
#include <ATen/core/interned_strings.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/ir.h>

#include <algorithm>
#include <map>
#include <string_view>

#include <portfire/error.h>

#include "core/text.h"
#include "engine/libtorch/allowed.h"
#include "engine/torchscript/attributes.h"

namespace portfire::torchscript {
namespace {

using torch::jit::Block;
using torch::jit::Function;
using torch::jit::Graph;
using torch::jit::Node;

constexpr std::int64_t kMostNodes = 5'000'000;  // after inlining; a chain of doubling calls is exponential
constexpr int kDeepest = 200;  // calls and blocks within each other; LibTorch's passes call themselves for each

bool contains(const std::vector<std::string>& list, std::string_view op) {
  return std::find(list.begin(), list.end(), op) != list.end();
}

std::string place(const Node* node) {
  const auto where = node->sourceRange().file_line_col();
  if (!where) return "";
  std::string file = std::get<0>(*where);
  file.erase(0, file.rfind('/') + 1);
  return cat(" (", file, ":", std::get<1>(*where), ")");
}

/// A function's own share and that of all that it calls; each function is walked once.
class Walker {
 public:
  Walker(const std::vector<std::string>& allowed, std::string name) : allowed_(allowed), name_(std::move(name)) {}

  struct Contents : MethodContents {
    std::int64_t nodes = 0;
  };

  const Contents& walk(Function& function) {
    const auto known = done_.find(&function);
    if (known != done_.end()) return known->second;
    Contents& contents = done_[&function];  // in place first: a call of itself ends here
    contents.name = function.name();
    auto* graph_function = torch::jit::tryToGraphFunction(function);
    if (graph_function == nullptr) refuse(cat("the built-in method ", quoted(function.qualname().qualifiedName())), "");
    block(*graph_function->graph()->block(), contents);
    return contents;
  }

 private:
  [[noreturn]] void refuse(const std::string& what, const std::string& where) const {
    throw Error(ErrorCode::kUntrustedPackage,
                cat(name_, ": ", what, " is not on the list of operators that only compute", where,
                    "; if you trust the file, allow it by name (--allow-op)"));
  }

  void add(Contents& to, Function& callee) {
    const Contents& from = walk(callee);
    to.operators.insert(from.operators.begin(), from.operators.end());
    to.constants += from.constants;
    to.constant_bytes += from.constant_bytes;
    to.nodes += from.nodes;
  }

  void block(const Block& block_, Contents& to) {
    if (++depth_ > kDeepest) {
      throw Error(ErrorCode::kUntrustedPackage, cat(name_, ": more than ", kDeepest, " calls and blocks within each other"));
    }
    for (const Node* node : block_.nodes()) visit(*node, to);
    --depth_;
  }

  void visit(const Node& node, Contents& to) {
    if (++to.nodes > kMostNodes) {
      throw Error(ErrorCode::kUntrustedPackage, cat(name_, ": its methods come to more than ", kMostNodes,
                                                    " operations when their calls are written out"));
    }
    if (node.kind() == c10::prim::CallFunction) {
      const auto type = node.input(0)->type()->cast<c10::FunctionType>();
      if (type != nullptr) return add(to, *type->function());
    }
    if (node.kind() == c10::prim::CallMethod) {
      const auto type = node.input(0)->type()->cast<c10::ClassType>();
      const std::string& method = node.s(c10::attr::name);
      if (type != nullptr) return add(to, type->getMethod(method));
      if (!contains(allowed_, "prim::CallMethod")) {
        refuse(cat("prim::CallMethod of ", quoted(method), " through an interface"), place(&node));
      }
    }
    const bool cast = node.kind() == c10::prim::unchecked_cast || node.kind() == c10::prim::unchecked_unwrap_optional;
    if (cast && !is_safe_cast(node.input()->type(), node.output()->type()) && !contains(allowed_, "prim::unchecked_cast")) {
      refuse(cat("prim::unchecked_cast from ", quoted(node.input()->type()->annotation_str()), " to ",
                 quoted(node.output()->type()->annotation_str())), place(&node));
    }
    const std::string op = node.kind().toQualString();
    if (!libtorch::is_allowed(op) && !contains(allowed_, op)) refuse(op, place(&node));
    to.operators.insert(op);
    constant(node, to);
    for (const Block* inner : node.blocks()) block(*inner, to);
    for (const c10::Symbol attribute : node.attributeNames()) {
      if (node.kindOf(attribute) == torch::jit::AttributeKind::g) block(*node.g(attribute)->block(), to);
    }
  }

  void constant(const Node& node, Contents& to) const {
    if (node.kind() != c10::prim::Constant || !node.hasAttribute(c10::attr::value)) return;
    if (node.kindOf(c10::attr::value) == torch::jit::AttributeKind::ival) {
      check_constant(node.ival(c10::attr::value), node.output()->type(), name_);
    }
    if (node.kindOf(c10::attr::value) != torch::jit::AttributeKind::t) return;
    const at::Tensor& tensor = node.t(c10::attr::value);
    to.constants += tensor.numel();
    to.constant_bytes += static_cast<std::int64_t>(tensor.nbytes());
  }

  const std::vector<std::string>& allowed_;
  std::string name_;
  std::map<const Function*, Contents> done_;
  int depth_ = 0;
};

}  // namespace

std::vector<MethodContents> check_operators(const torch::jit::Module& module, const std::vector<std::string>& allow_ops,
                                            const std::string& name) {
  Walker walker(allow_ops, name);
  std::vector<MethodContents> methods;
  for (const torch::jit::Method& method : module.get_methods()) methods.push_back(walker.walk(method.function()));
  return methods;
}

}  // namespace portfire::torchscript
