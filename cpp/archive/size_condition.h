#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <portfire/tensor.h>

namespace portfire::exported {

/// What a condition can ask of one input.
struct InputSize {
  Dims shape;
  std::int64_t number = 0;  ///< of an input that is one
};

/// What torch.export took for granted about the inputs' sizes when it followed one branch of the module's Python,
/// in Python's own words: "L['x'].size()[0] % 3 == 0" (`guards_code` in model.json). A program is right only
/// where all of its conditions hold. Immutable.
class SizeCondition {
 public:
  struct Node;

  /// `inputs` are the names of the caller's arguments; a nested one is named as torch names it ("args_0"). Throws
  /// kUnsupported on what is not arithmetic of their sizes.
  SizeCondition(std::string_view text, const std::vector<std::string>& inputs);

  /// False too where Python would raise (a division by zero), and where 64 bits are too few.
  [[nodiscard]] bool holds(std::span<const InputSize> inputs) const;

  /// "x.size(0) % 3 == 0"
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::shared_ptr<const Node> root_;
  std::string text_;
};

}  // namespace portfire::exported
