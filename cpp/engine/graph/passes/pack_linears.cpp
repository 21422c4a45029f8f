#include <ATen/ops/isfinite.h>

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/graph/kernels/packed.h"
#include "engine/graph/kernels/packed_linear.h"
#include "engine/graph/passes/follow.h"
#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {
namespace {

struct Linear {
  at::Tensor weight;  ///< [O, I]
  at::Tensor bias;
};

/// Weights as our own kernel takes them, each made once.
class KeptWeights {
 public:
  explicit KeptWeights(direct::Kept kept) : kept_(kept) {}

  /// Null for what is better left as it is: small, not float32 in memory, or with numbers that are none.
  const direct::LinearWeight* of(const at::Tensor& weight) {
    constexpr std::int64_t kLeast = 4096;
    if (const direct::LinearWeight* found = known(weight)) return found;
    if (weight.dim() != 2 || weight.numel() < kLeast || weight.scalar_type() != at::kFloat || !weight.is_cpu()) return nullptr;
    fetch(weight);
    const bool fits = is_finite(weight);
    if (fits) made_.emplace_back(weight, direct::packed_linear_weight(weight, kept_));
    let_wait(weight);
    return fits ? &made_.back().second : nullptr;
  }

  /// One that was made.
  const direct::LinearWeight* known(const at::Tensor& weight) const {
    for (const auto& [whole, made] : made_) {
      const bool same = weight.defined() && weight.storage().unsafeGetStorageImpl() == whole.storage().unsafeGetStorageImpl();
      if (same && weight.storage_offset() == whole.storage_offset() && weight.sizes() == whole.sizes() && weight.strides() == whole.strides()) return &made;
    }
    return nullptr;
  }

 private:
  /// A piece at a time: whole it would take as much memory again.
  static bool is_finite(const at::Tensor& weight) {
    constexpr std::int64_t kPiece = 1 << 16;  // values
    const std::int64_t step = std::max<std::int64_t>(1, kPiece / weight.size(1));
    for (std::int64_t first = 0; first < weight.size(0); first += step) {
      const at::Tensor piece = weight.narrow(0, first, std::min(step, weight.size(0) - first));
      if (!at::isfinite(piece.abs().amax()).item().toBool()) return false;
    }
    return true;
  }

  direct::Kept kept_;
  std::deque<std::pair<at::Tensor, direct::LinearWeight>> made_;
};

/// What is left of the weights is copied, so that the file that they lie in can go; a record that is read by itself is not copied.
void let_go(Block& block) {
  const c10::InferenceMode ordinary(false);  // see Weights::tensor
  std::unordered_map<const c10::TensorImpl*, at::Tensor> copies;
  const auto weights = std::make_shared<Storages>();
  const std::function<void(Operand&)> copy = [&](Operand& operand) {
    for (Operand& item : operand.items) copy(item);
    const at::Tensor tensor = constant_tensor(operand);
    if (!tensor.defined() || !tensor.has_storage() || !block.weights->contains(tensor)) return;
    if (may_wait(tensor)) {
      weights->add(tensor);
      return;
    }
    at::Tensor& own = copies[tensor.unsafeGetTensorImpl()];
    if (!own.defined()) {
      own = tensor.detach().clone().set_requires_grad(tensor.requires_grad());
      weights->add(own);
    }
    operand.constant = own;
  };
  for (Step& step : block.steps) {
    for (Operand& operand : step.operands) copy(operand);
  }
  for (Operand& output : block.outputs) copy(output);
  block.weights = weights;
}

const char* name_of(direct::Kept kept) {
  if (kept == direct::Kept::kFloat32) return "portfire::linear";
  return kept == direct::Kept::kInt8 ? "portfire::linear_int8" : "portfire::linear_bfloat16";
}

bool known_one(const Operand& operand) { return operand.constant.isScalar() && operand.constant.toScalar().toDouble() == 1; }

/// The linear layer that a step is; without a weight where it is none.
Linear linear_of(const Step& step) {
  if (step.op.name == "aten::linear" && step.operands.size() == 3) {
    Linear found{.weight = constant_tensor(step.operands[1]), .bias = constant_tensor(step.operands[2])};
    return found.bias.defined() || is_none(step.operands[2]) ? found : Linear{};
  }
  if ((step.op.name == "aten::mm" || step.op.name == "aten::matmul") && step.operands.size() == 2) {
    const at::Tensor right = constant_tensor(step.operands[1]);
    return right.defined() && right.dim() == 2 ? Linear{.weight = right.t(), .bias = {}} : Linear{};
  }
  if (step.op.name == "aten::addmm" && step.operands.size() == 5 && known_one(step.operands[3]) && known_one(step.operands[4])) {
    const at::Tensor bias = constant_tensor(step.operands[0]);
    const at::Tensor right = constant_tensor(step.operands[2]);
    if (bias.defined() && right.defined() && bias.dim() == 1 && right.dim() == 2 && bias.size(0) == right.size(1)) return {.weight = right.t(), .bias = bias};
  }
  return {};
}

/// The input stands first in every other layer.
void turn_sums(Block& block) {
  for (Step& step : block.steps) {
    if (step.op.name == "aten::addmm" && linear_of(step).weight.defined()) {
      const Linear found = linear_of(step);
      const auto linear = find_schema("torch.ops.aten.linear.default");
      step.op = {.name = "aten::linear", .handle = linear};
      step.operands = {step.operands[1], {.constant = found.weight}, {.constant = found.bias}};
    }
  }
}

bool has_fitting_bias(const Linear& layer) {
  const at::Tensor& weight = layer.weight;
  const at::Tensor& bias = layer.bias;
  return !bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(0) && bias.scalar_type() == weight.scalar_type());
}

}  // namespace

void pack_linears(Block& block) {
  turn_sums(block);
  pack_layers(block, "portfire::linear", [](const Block& all, const Step& step) -> Layer {
    const Linear found = linear_of(step);
    const at::Tensor& weight = found.weight;
    if (!weight.defined() || weight.dim() != 2 || weight.numel() == 0 || !onednn_takes(weight.scalar_type())) return {};
    if (!has_fitting_bias(found) || rank_of(all, step.operands[0]) < 2) return {};
    return {.adds = true, .activates_sum = false, .make = [found](Epilogue epilogue) { return packed_linear(found.weight, found.bias, std::move(epilogue)); }};
  });
}

void keep_linears(Block& block, direct::Kept kept) {
  const bool is_whole = std::none_of(block.steps.begin(), block.steps.end(), [](const Step& step) { return step.op.kernel != nullptr; });  // no branch, no loop
  turn_sums(block);
  KeptWeights weights(kept);
  const auto layer_of = [](const Block& all, const Step& step) {
    const Linear found = linear_of(step);
    const bool fits = found.weight.defined() && has_fitting_bias(found) && rank_of(all, step.operands[0]) > 0;
    return fits ? found : Linear{};
  };
  // The largest first: while one is packed it takes twice its memory.
  std::vector<at::Tensor> order;
  for (const Step& step : block.steps) {
    if (const Linear found = layer_of(block, step); found.weight.defined()) order.push_back(found.weight);
  }
  std::stable_sort(order.begin(), order.end(), [](const at::Tensor& a, const at::Tensor& b) { return a.numel() > b.numel(); });
  for (const at::Tensor& weight : order) (void)weights.of(weight);
  pack_layers(block, name_of(kept), [&](const Block& all, const Step& step) -> Layer {
    const Linear found = layer_of(all, step);
    const direct::LinearWeight* made = weights.known(found.weight);
    if (made == nullptr) return {};
    settle(found.bias);
    return {.adds = true, .activates_sum = true, .make = [found, made](Epilogue epilogue) { return packed_linear(*made, found.bias, std::move(epilogue)); }};
  });
  for (Step& step : block.steps) {
    const bool looks_up = step.op.name == "aten::embedding" && step.operands.size() >= 2;
    const direct::LinearWeight* made = looks_up ? weights.known(constant_tensor(step.operands[0])) : nullptr;
    if (made == nullptr) continue;
    step.op = {.name = "portfire::embedding", .kernel = packed_embedding(*made)};
    step.operands = {step.operands[1]};
  }
  if (is_whole) let_go(block);
}

}  // namespace portfire::graph
