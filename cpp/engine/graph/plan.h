#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <portfire/tensor.h>

#include "archive/exported_program.h"
#include "engine/graph/operators.h"
#include "engine/graph/weights.h"

namespace portfire::graph {

/// Where an argument of a step comes from: it is known already, it is what an earlier step left in a slot, or a
/// list of such.
struct Operand {
  static constexpr int kNoSlot = -1;

  int slot = kNoSlot;
  c10::IValue constant{};         ///< without a slot or items
  std::vector<Operand> items{};   ///< of a list that is not known before the call
  c10::TypePtr element = nullptr; ///< of that list
  bool is_tensor = false;         ///< a number in the slot is to become a tensor, as Python's wrapped numbers
};

/// One operator call.
struct Step {
  Operator op;
  std::string name;                        ///< of the node, for errors
  std::vector<Operand> operands;           ///< one for each argument of the operator's schema
  std::vector<std::vector<int>> outputs;   ///< slots for each value returned; several take a list apart
  std::vector<bool> lists;                 ///< whether the value is a list to take apart
  std::vector<std::size_t> written;        ///< operands that the operator writes to
  std::vector<int> last_uses;              ///< slots that are free afterwards
  bool writes_within = false;              ///< a step of a branch or a loop writes to some tensor

  /// What was read before may be something else after.
  bool writes() const { return writes_within || !written.empty(); }
};

/// The storages that nobody may write to. Their memory goes with the last tensor; the address that they are known by is theirs.
class Storages {
 public:
  void add(const at::Tensor& tensor);
  bool contains(const at::Tensor& tensor) const;

 private:
  std::unordered_map<const c10::StorageImpl*, c10::weak_intrusive_ptr<c10::StorageImpl>> all_;
};

/// The steps of a program, of a branch, or of a loop's body.
struct Block {
  int slots = 0;
  std::vector<int> inputs;
  std::vector<Step> steps;
  std::vector<Operand> outputs;
  std::vector<std::vector<std::string>> shapes;  ///< of each slot, as the export says; empty where it does not
  std::shared_ptr<const Storages> weights;
};

/// A program resolved against this LibTorch: nothing is looked up by name any more.
struct Plan {
  Block block;                    ///< its inputs are the caller's, then a copy of each of `state`
  std::vector<at::Tensor> state;  ///< weights that the program writes to; every call begins with these
  std::vector<std::size_t> numbers;  ///< inputs that the steps take as numbers
  std::vector<exported::SizeCondition> conditions;  ///< on the caller's inputs
  bool writes = false;               ///< an operator works in place
};

/// Maps `program`'s values to slots and its operators to this LibTorch's. `weights` are those of `archive`; what waits in the
/// file does so still, but for what the program writes to. Throws kInvalidPackage, kUntrustedPackage, and kUnsupported by
/// name on whatever could not run.
Plan make_plan(const exported::Program& program, const Archive& archive, Weights& weights, Device device,
               const std::vector<std::string>& allow_ops);

/// Gives every slot up after the step that reads it last. To be called when the steps have changed.
void free_slots_early(Block& block);

/// Python's number among tensors: it does not decide the dtype.
at::Tensor wrapped_number(const c10::Scalar& scalar);

}  // namespace portfire::graph
