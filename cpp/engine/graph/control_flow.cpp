#include "engine/graph/control_flow.h"

#include <ATen/ops/stack.h>

#include <span>
#include <utility>

#include <portfire/error.h>

#include "core/text.h"
#include "engine/graph/run.h"

namespace portfire::graph {
namespace {

using c10::IValue;
using torch::jit::Stack;

bool truth(const IValue& value) { return value.isTensor() ? value.toTensor().item<bool>() : value.toBool(); }

/// torch.cond(predicate, true_graph, false_graph, operands)
class Cond final : public Kernel {
 public:
  explicit Cond(std::vector<Block> branches) : branches_(std::move(branches)) {}

  void run(Stack& stack) const override {
    const bool predicate = truth(stack.front());
    stack.erase(stack.begin());
    stack = run_block(branches_[predicate ? 0 : 1], std::move(stack));
  }

 private:
  std::vector<Block> branches_;
};

/// while_loop(condition_graph, body_graph, carried, additional)
class WhileLoop final : public Kernel {
 public:
  WhileLoop(std::vector<Block> graphs, std::size_t carried) : graphs_(std::move(graphs)), carried_(carried) {}

  void run(Stack& stack) const override {
    while (truth(run_block(graphs_[0], stack).at(0))) {
      std::vector<IValue> next = run_block(graphs_[1], stack);
      for (std::size_t k = 0; k < carried_; ++k) stack[k] = std::move(next.at(k));
    }
    stack.resize(carried_);
  }

 private:
  std::vector<Block> graphs_;
  std::size_t carried_;
};

/// Rows of the first axis one by one; kept where all of them are wanted as one tensor.
class Rows {
 public:
  explicit Rows(std::span<const IValue> tensors) {
    for (const IValue& one : tensors) tensors_.push_back(one.toTensor());
    if (tensors_.empty() || tensors_[0].dim() == 0 || tensors_[0].size(0) == 0) {
      throw Error(ErrorCode::kInvalidInput, "a loop over the rows of a tensor that has none");
    }
  }
  std::int64_t count() const { return tensors_[0].size(0); }
  void push(std::int64_t row, std::vector<IValue>& arguments) const {
    for (const at::Tensor& one : tensors_) arguments.emplace_back(one.select(0, row));
  }

 private:
  std::vector<at::Tensor> tensors_;
};

void stack_rows(const std::vector<std::vector<at::Tensor>>& columns, Stack& stack) {
  for (const std::vector<at::Tensor>& column : columns) stack.emplace_back(at::stack(column));
}

/// scan(graph, carried, xs, additional): carried values, and what each row gave, stacked. With nothing carried it
/// is map_impl(graph, xs, additional).
class Scan final : public Kernel {
 public:
  Scan(std::vector<Block> graphs, std::size_t carried, std::size_t xs)
      : graphs_(std::move(graphs)), carried_(carried), xs_(xs) {}

  void run(Stack& stack) const override {
    std::vector<IValue> carried(stack.begin(), stack.begin() + static_cast<std::ptrdiff_t>(carried_));
    const Rows rows(std::span<const IValue>(stack).subspan(carried_, xs_));
    std::vector<std::vector<at::Tensor>> columns;
    for (std::int64_t row = 0; row < rows.count(); ++row) {
      std::vector<IValue> arguments = carried;
      rows.push(row, arguments);
      arguments.insert(arguments.end(), stack.begin() + static_cast<std::ptrdiff_t>(carried_ + xs_), stack.end());
      std::vector<IValue> given = run_block(graphs_[0], std::move(arguments));
      columns.resize(given.size() - carried_);
      for (std::size_t k = 0; k < given.size(); ++k) {
        if (k < carried_) {
          carried[k] = std::move(given[k]);
        } else {
          columns[k - carried_].push_back(given[k].toTensor());
        }
      }
    }
    stack = std::move(carried);
    stack_rows(columns, stack);
  }

 private:
  std::vector<Block> graphs_;
  std::size_t carried_;
  std::size_t xs_;
};

/// A region that does nothing to values here: without gradients, or compiled apart.
class Region final : public Kernel {
 public:
  explicit Region(std::vector<Block> graphs) : graphs_(std::move(graphs)) {}

  void run(Stack& stack) const override { stack = run_block(graphs_[0], std::move(stack)); }

 private:
  std::vector<Block> graphs_;
};

}  // namespace

ControlFlow find_control_flow(std::string_view target, std::vector<Block> graphs, const std::vector<std::size_t>& lists,
                              std::size_t outputs) {
  if (target == "cond" && graphs.size() == 2 && graphs[0].outputs.size() == outputs && graphs[1].outputs.size() == outputs) {
    return {.kernel = std::make_shared<Cond>(std::move(graphs))};
  }
  if (target == "while_loop" && graphs.size() == 2 && lists.size() == 2 && graphs[0].outputs.size() == 1 &&
      graphs[1].outputs.size() == lists[0] && lists[0] == outputs) {
    return {.kernel = std::make_shared<WhileLoop>(std::move(graphs), lists[0])};
  }
  if (graphs.size() != 1 || graphs[0].outputs.size() != outputs) return {};
  if (target == "map_impl" && lists.size() == 2 && lists[0] > 0) return {.kernel = std::make_shared<Scan>(std::move(graphs), 0, lists[0])};
  if (target == "scan" && lists.size() == 3 && lists[1] > 0 && lists[0] <= outputs) {
    return {.kernel = std::make_shared<Scan>(std::move(graphs), lists[0], lists[1])};
  }
  if (target == "wrap_with_set_grad_enabled" || target == "invoke_subgraph") {
    return {.kernel = std::make_shared<Region>(std::move(graphs)), .skipped = 1};
  }
  return {};
}

}  // namespace portfire::graph
