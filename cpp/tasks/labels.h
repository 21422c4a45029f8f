#pragma once

#include <string>
#include <vector>

#include <portfire/answer.h>
#include <portfire/manifest.h>
#include <portfire/model.h>

namespace portfire {

/// The last step of every classification: float32 [C], the probability of each label, to the most likely ones.
class Labels {
 public:
  explicit Labels(const Manifest& manifest) : labels_(manifest.labels), name_(manifest.name) {}

  /// Throws kInvalidArgument on `top_k` below 1, kInvalidPackage where `outputs` are no such probabilities.
  [[nodiscard]] Answer answer(const std::vector<NamedTensor>& outputs, const RunOptions& options) const;

 private:
  std::vector<std::string> labels_;
  std::string name_;
};

}  // namespace portfire
