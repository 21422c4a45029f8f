#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include <portfire/export.h>
#include <portfire/generate.h>
#include <portfire/tensor.h>

namespace portfire {

/// One class and how likely the model holds it to be. Regular.
struct ScoredLabel {
  std::int64_t index = 0;
  std::string label;
  float probability = 0;
  bool operator==(const ScoredLabel&) const = default;
};

/// The answer of task `image-classification`: the most likely classes, best first; never empty. Regular.
struct Classification {
  std::vector<ScoredLabel> top;

  [[nodiscard]] const std::string& label() const noexcept { return top.front().label; }
  [[nodiscard]] float probability() const noexcept { return top.front().probability; }
  bool operator==(const Classification&) const = default;
};

/// The answer of task `tensor`: the model's outputs by name. Regular.
struct TensorAnswer {
  std::vector<NamedTensor> outputs;
  bool operator==(const TensorAnswer&) const = default;
};

/// A task's answer. Regular; one alternative for each task.
struct PORTFIRE_EXPORT Answer {
  std::variant<Classification, TensorAnswer, Generation> value;

  /// Throws kInvalidArgument when the answer is of another task.
  [[nodiscard]] const Classification& classification() const;
  [[nodiscard]] const TensorAnswer& tensors() const;
  [[nodiscard]] const Generation& generation() const;

  /// One line of JSON, the same on every face. Tensors: {"name": {"dtype", "shape", "data": nested lists}}.
  [[nodiscard]] std::string to_json() const;
  bool operator==(const Answer&) const = default;
};

}  // namespace portfire
