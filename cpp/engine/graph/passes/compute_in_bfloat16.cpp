#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph/kernel.h"
#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {
namespace {

/// A tensor of one dtype becomes one of another; whatever else passes as it is.
class Convert final : public Kernel {
 public:
  Convert(at::ScalarType from, at::ScalarType to) : from_(from), to_(to) {}

  void run(torch::jit::Stack& stack) const override {
    c10::IValue& value = stack.front();
    if (value.isTensor() && value.toTensor().scalar_type() == from_) value = value.toTensor().to(to_);
  }

 private:
  at::ScalarType from_;
  at::ScalarType to_;
};

/// Operators that take tensors of one dtype only. Others promote what they are given, or keep it.
bool is_strict(const Step& step) {
  constexpr std::string_view kStrict[] = {
      "aten::conv1d", "aten::conv2d", "aten::conv3d", "aten::conv_transpose1d", "aten::conv_transpose2d", "aten::conv_transpose3d",
      "aten::convolution", "aten::linear", "aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm", "aten::matmul",
      "aten::scaled_dot_product_attention", "aten::layer_norm", "aten::native_layer_norm", "aten::group_norm", "aten::batch_norm",
      "aten::_native_batch_norm_legit_no_training", "aten::prelu"};
  for (const std::string_view name : kStrict) {
    if (step.op.name == name) return true;
  }
  return false;
}

void reduce(Operand& operand, Storages& weights) {
  for (Operand& item : operand.items) reduce(item, weights);
  const at::Tensor tensor = constant_tensor(operand);
  if (!tensor.defined() || tensor.scalar_type() != at::kFloat || tensor.dim() == 0) return;
  fetch(tensor);
  const at::Tensor reduced = tensor.to(at::kBFloat16);
  let_wait(tensor);
  weights.add(reduced);
  operand.constant = reduced;
}

int add_slot(Block& block, int like) {
  block.shapes.push_back(block.shapes[static_cast<std::size_t>(like)]);
  return block.slots++;
}

Step conversion(const std::shared_ptr<const Kernel>& kernel, const char* name, int from, int to) {
  return {.op = {.name = name, .kernel = kernel}, .name = "convert", .operands = {{.slot = from}}, .outputs = {{to}}, .lists = {false},
          .written = {}, .last_uses = {}};
}

}  // namespace

void compute_in_bfloat16(Block& block) {
  const auto down = std::make_shared<const Convert>(at::kFloat, at::kBFloat16);
  const auto up = std::make_shared<const Convert>(at::kBFloat16, at::kFloat);
  const auto weights = std::make_shared<Storages>(*block.weights);
  std::vector<Step> steps;
  for (Step& step : block.steps) {
    if (step.op.name == "aten::_assert_tensor_metadata") continue;  // of the dtype that the export saw
    for (Operand& operand : step.operands) {
      if (!step.op.kernel) reduce(operand, *weights);  // a kernel's blocks keep their weights
      if (!is_strict(step) || operand.slot == Operand::kNoSlot) continue;
      const int converted = add_slot(block, operand.slot);
      steps.push_back(conversion(down, "portfire::to_bfloat16", operand.slot, converted));
      operand.slot = converted;
    }
    steps.push_back(std::move(step));
  }
  for (Operand& output : block.outputs) {
    if (output.slot == Operand::kNoSlot) continue;
    const int converted = add_slot(block, output.slot);
    steps.push_back(conversion(up, "portfire::to_float32", output.slot, converted));
    output.slot = converted;
  }
  block.steps = std::move(steps);
  block.weights = weights;
}

}  // namespace portfire::graph
