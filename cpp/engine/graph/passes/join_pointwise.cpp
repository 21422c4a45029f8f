#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph/kernels/pointwise.h"
#include "engine/graph/passes/part.h"
#include "engine/graph/passes/passes.h"
#include "engine/graph/passes/uses.h"

namespace portfire::graph {
namespace {

using direct::Pointwise;
using direct::PointwiseStep;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNothing = -0.0F;  // added, it leaves zeros their sign
constexpr std::size_t kFarthest = 256;  // steps between the first of a chain and the last

/// One step's operations: `a` and `b` of the first are its tensors 0 and 1, and then 2 is what the first gives, and so on.
struct Operations {
  std::vector<Operand> tensors;
  std::vector<PointwiseStep> steps;
};
constexpr int kFirstResult = 2;

std::optional<double> number(const Operand& operand) {
  if (operand.slot != Operand::kNoSlot || !operand.items.empty()) return std::nullopt;
  at::Scalar scalar;
  if (operand.constant.isScalar()) {
    scalar = operand.constant.toScalar();
  } else if (const at::Tensor tensor = constant_tensor(operand); tensor.defined() && tensor.dim() == 0 && tensor.is_cpu()) {
    scalar = tensor.item();
  } else {
    return std::nullopt;
  }
  return scalar.isComplex() ? std::nullopt : std::optional(scalar.toDouble());
}

/// float32 has it, or one near it.
bool fits(double value) { return !std::isfinite(value) || std::abs(value) <= std::numeric_limits<float>::max(); }

bool all_fit(const Step& step) {
  return std::all_of(step.operands.begin(), step.operands.end(), [](const Operand& operand) { return fits(number(operand).value_or(0)); });
}

PointwiseStep affine(int a, double p, double q) { return {.operation = Pointwise::kAffine, .a = a, .p = static_cast<float>(p), .q = static_cast<float>(q)}; }

std::vector<PointwiseStep> unary(const Step& step) {
  constexpr std::array<std::pair<std::string_view, Pointwise>, 11> kPlain{{{"aten::abs", Pointwise::kSize},
                                                                          {"aten::erf", Pointwise::kErrorFunction},
                                                                          {"aten::exp", Pointwise::kExponential},
                                                                          {"aten::reciprocal", Pointwise::kReciprocal},
                                                                          {"aten::sigmoid", Pointwise::kSigmoid},
                                                                          {"aten::silu", Pointwise::kSilu},
                                                                          {"aten::sqrt", Pointwise::kRoot},
                                                                          {"aten::square", Pointwise::kSquare},
                                                                          {"aten::tanh", Pointwise::kTanh},
                                                                          {"aten::rsqrt", Pointwise::kRoot},
                                                                          {"aten::relu", Pointwise::kBounds}}};
  const std::string& name = step.op.name;
  if (name == "aten::neg") return {affine(0, -1, kNothing)};
  if (name == "aten::gelu" && step.operands.size() == 2 && step.operands[1].constant.isString()) {
    return {{.operation = step.operands[1].constant.toStringRef() == "tanh" ? Pointwise::kGeluTanh : Pointwise::kGelu}};
  }
  const auto* const found = std::find_if(kPlain.begin(), kPlain.end(), [&](const auto& one) { return one.first == name; });
  if (found == kPlain.end() || step.operands.size() != 1) return {};
  std::vector<PointwiseStep> steps{{.operation = found->second}};
  if (name == "aten::relu") steps = {{.operation = Pointwise::kBounds, .p = 0, .q = kInfinity}};
  if (name == "aten::rsqrt") steps.push_back({.operation = Pointwise::kReciprocal, .a = kFirstResult});
  return steps;
}

std::vector<PointwiseStep> clamp(const Step& step) {
  PointwiseStep bounds{.operation = Pointwise::kBounds, .p = -kInfinity, .q = kInfinity};
  for (std::size_t k = 1; k < step.operands.size(); ++k) {
    if (is_none(step.operands[k])) continue;
    const std::optional<double> bound = number(step.operands[k]);
    if (!bound || std::isnan(*bound)) return {};
    (k == 1 ? bounds.p : bounds.q) = static_cast<float>(*bound);
  }
  return {bounds};
}

std::vector<PointwiseStep> power(const Step& step) {
  const std::optional<double> exponent = number(step.operands[1]);
  const PointwiseStep square{.operation = Pointwise::kSquare}, root{.operation = Pointwise::kRoot};
  if (exponent == 2) return {square};
  if (exponent == 3) return {square, {.operation = Pointwise::kMultiply, .a = kFirstResult, .b = 0}};
  if (exponent == 0.5) return {root};
  if (exponent == -0.5) return {root, {.operation = Pointwise::kReciprocal, .a = kFirstResult}};
  if (exponent == -1) return {{.operation = Pointwise::kReciprocal}};
  return {};
}

/// Of a tensor and a number, in either order.
std::vector<PointwiseStep> with_number(std::string_view name, double value, bool is_first, double alpha) {
  if (name == "aten::mul") return {affine(0, value, kNothing)};
  if (name == "aten::div") return {{.operation = is_first ? Pointwise::kDivideNumber : Pointwise::kDivideByNumber, .p = static_cast<float>(value)}};
  if (name == "aten::add") return {is_first ? affine(0, alpha, value) : affine(0, 1, value * alpha)};
  if (name == "aten::sub") return {is_first ? affine(0, -alpha, value) : affine(0, 1, -value * alpha)};
  return {is_first ? affine(0, 1, -value * alpha) : affine(0, -alpha, value)};  // rsub
}

std::vector<PointwiseStep> of_tensors(std::string_view name, double alpha) {
  const auto add = [](int a, int b, double p) { return PointwiseStep{.operation = Pointwise::kAdd, .a = a, .b = b, .p = static_cast<float>(p)}; };
  if (name == "aten::mul") return {{.operation = Pointwise::kMultiply, .a = 0, .b = 1}};
  if (name == "aten::div") return {{.operation = Pointwise::kDivide, .a = 0, .b = 1}};
  if (name == "aten::add") return {add(0, 1, alpha)};
  if (name == "aten::sub") return {add(0, 1, -alpha)};
  return {add(1, 0, -alpha)};  // rsub
}

Operations binary(const Step& step) {
  const std::string& name = step.op.name;
  const bool sums = name == "aten::add" || name == "aten::sub" || name == "aten::rsub";
  const std::optional<double> alpha = sums && step.operands.size() == 3 ? number(step.operands[2]) : std::optional(1.0);
  if (step.operands.size() != (sums ? 3U : 2U) || !alpha) return {};
  const std::optional<double> first = number(step.operands[0]), second = number(step.operands[1]);
  if (first && second) return {};
  for (const Operand& operand : {step.operands[0], step.operands[1]}) {
    if (const at::Tensor tensor = constant_tensor(operand); tensor.defined() && tensor.dim() > 0 && tensor.scalar_type() != at::kFloat) return {};
  }
  if (first) return {.tensors = {step.operands[1]}, .steps = with_number(name, *first, true, *alpha)};
  if (second) return {.tensors = {step.operands[0]}, .steps = with_number(name, *second, false, *alpha)};
  return {.tensors = {step.operands[0], step.operands[1]}, .steps = of_tensors(name, *alpha)};
}

/// Without steps where it is no operation on every value, or one that writes.
Operations operations_of(const Step& step) {
  if (!step.op.handle || !step.written.empty() || only_output(step) == Operand::kNoSlot || step.operands.empty() || !all_fit(step)) return {};
  const std::string& name = step.op.name;
  for (const char* one : {"aten::add", "aten::sub", "aten::rsub", "aten::mul", "aten::div"}) {
    if (name == one) return binary(step);
  }
  const bool clamps = (name == "aten::clamp" && step.operands.size() == 3) || (name == "aten::clamp_min" && step.operands.size() == 2) ||
                      (name == "aten::hardtanh" && step.operands.size() == 3);
  const bool powers = name == "aten::pow" && step.operands.size() == 2 && !number(step.operands[0]);
  return {.tensors = {step.operands[0]}, .steps = clamps ? clamp(step) : powers ? power(step) : unary(step)};
}

/// The steps whose operations go into one kernel, which stands where the last of them stood.
class Group {
 public:
  explicit Group(const Block& block) : block_(block) {}

  /// Steps are added in their order; `operations` are the step's.
  void add(const Step& step, const Operations& operations) {
    const auto first = static_cast<int>(results_.size());
    for (PointwiseStep one : operations.steps) {
      const auto moved = [&](int value) {  // until all inputs are known, those are below zero
        return value >= kFirstResult ? first + value - kFirstResult : place_of(operations.tensors[static_cast<std::size_t>(value)]);
      };
      const bool has_b = one.operation == Pointwise::kAdd || one.operation == Pointwise::kMultiply || one.operation == Pointwise::kDivide;
      one.a = moved(one.a);
      one.b = has_b ? moved(one.b) : one.a;
      chain_.push_back(one);
      results_.push_back(Operand::kNoSlot);
    }
    results_.back() = only_output(step);
    steps_.push_back(step);
  }

  /// The step in place of all.
  Step joined() {
    std::vector<Operand> operands;
    for (const int slot : slots_) operands.push_back({.slot = slot});  // a number as it is: the steps make of it what each needs
    for (const Operand& input : constants_) operands.push_back(input);
    const auto inputs = static_cast<int>(operands.size());
    const auto settled = [&](int value) {
      if (value >= 0) return inputs + value;
      return value > kConstants ? -value - 1 : static_cast<int>(slots_.size()) + kConstants - value;
    };
    for (PointwiseStep& one : chain_) {
      one.a = settled(one.a);
      one.b = settled(one.b);
    }
    const int result = only_output(steps_.back());
    const std::string name = steps_.back().name;
    Block alone = part_of(block_, std::move(steps_), slots_, result);
    return {.op = {.name = "portfire::pointwise", .kernel = pointwise(std::move(chain_), std::move(alone))}, .name = name,
            .operands = std::move(operands), .outputs = {{result}}, .lists = {false}, .written = {}, .last_uses = {}};
  }

 private:
  static constexpr int kConstants = -1000;

  /// A result of the group, or an input: -1 - k for slots, kConstants - k for constants.
  int place_of(const Operand& operand) {
    if (operand.slot == Operand::kNoSlot) {
      constants_.push_back(operand);
      return kConstants - static_cast<int>(constants_.size() - 1);
    }
    const auto result = std::find(results_.begin(), results_.end(), operand.slot);
    if (result != results_.end()) return static_cast<int>(result - results_.begin());
    const auto known = std::find(slots_.begin(), slots_.end(), operand.slot);
    const auto place = static_cast<int>(known - slots_.begin());
    if (known == slots_.end()) slots_.push_back(operand.slot);
    return -1 - place;
  }

  const Block& block_;
  std::vector<Step> steps_;
  std::vector<PointwiseStep> chain_;
  std::vector<int> results_;  ///< the slot of each of `chain_`, if it is a step's last
  std::vector<int> slots_;
  std::vector<Operand> constants_;
};

}  // namespace

void join_pointwise(Block& block) {
  // What comes before a writer stays: a tensor may change between, and a view of a result may be written to.
  const auto last_writer = std::find_if(block.steps.rbegin(), block.steps.rend(), [](const Step& step) { return step.writes(); });
  const auto begin = static_cast<std::size_t>(last_writer.base() - block.steps.begin());
  const std::vector<std::vector<std::size_t>> takers = takers_of(block);
  std::vector<Operations> operations(block.steps.size());
  for (std::size_t k = begin; k < block.steps.size(); ++k) operations[k] = operations_of(block.steps[k]);
  std::vector<bool> gone(block.steps.size(), false);
  for (std::size_t last = block.steps.size(); last-- > begin;) {
    const int result = only_output(block.steps[last]);
    if (gone[last] || operations[last].steps.empty() || rank_of(block, {.slot = result}) == 0) continue;
    std::vector<std::size_t> members{last};
    std::size_t room = direct::kMostPointwise - operations[last].steps.size() - operations[last].tensors.size();
    const std::size_t first = std::max(begin, last - std::min(last, kFarthest));
    for (std::size_t k = last; k-- > first;) {
      const Operations& found = operations[k];
      const std::size_t needs = found.steps.size() + found.tensors.size();
      if (gone[k] || found.steps.empty() || needs > room || !same_shape(block, only_output(block.steps[k]), result)) continue;
      const std::vector<std::size_t>& by = takers[static_cast<std::size_t>(only_output(block.steps[k]))];
      const auto is_member = [&](std::size_t step) { return std::find(members.begin(), members.end(), step) != members.end(); };
      if (by.empty() || !std::all_of(by.begin(), by.end(), is_member)) continue;
      members.push_back(k);
      room -= needs;
    }
    if (members.size() < 2) continue;
    std::reverse(members.begin(), members.end());
    Group group(block);
    for (const std::size_t k : members) {
      group.add(block.steps[k], operations[k]);
      gone[k] = true;
    }
    block.steps[last] = group.joined();
    gone[last] = false;
    operations[last] = {};
  }
  erase_steps(block, gone);
}

}  // namespace portfire::graph
