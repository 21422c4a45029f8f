#include "tasks/text_classification.h"

#include <array>
#include <utility>

#include "tasks/check.h"
#include "tasks/labels.h"
#include "tasks/text_input.h"

namespace portfire {
namespace {

class TextClassification final : public Task {
 public:
  TextClassification(const Manifest& manifest, const AssetReader& asset)
      : labels_(manifest), text_(manifest, asset), name_(manifest.name), preprocess_(*manifest.method("preprocess")) {}

  std::vector<NamedTensor> decode(const Input& input) const override {
    const std::array<Tensor, 1> tokens{text_.tokens(input)};
    check_inputs(preprocess_, tokens, name_);
    return {{"tokens", tokens[0]}};
  }

  bool staged() const override { return true; }

  Answer answer(std::vector<NamedTensor> outputs, const RunOptions& options) const override { return labels_.answer(outputs, options); }

 private:
  Labels labels_;
  TextInput text_;
  std::string name_;
  MethodSpec preprocess_;
};

}  // namespace

std::unique_ptr<Task> make_text_classification(const Manifest& manifest, const AssetReader& asset) {
  return std::make_unique<TextClassification>(manifest, asset);
}

}  // namespace portfire
