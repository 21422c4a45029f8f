#include "tasks/image_classification.h"

#include <portfire/codecs.h>
#include <portfire/error.h>

#include "core/text.h"
#include "tasks/labels.h"

namespace portfire {
namespace {

class ImageClassification final : public Task {
 public:
  ImageClassification(const Manifest& manifest, std::int64_t max_pixels)
      : labels_(manifest), name_(manifest.name), max_pixels_(max_pixels) {}

  std::vector<NamedTensor> decode(const Input& input) const override {
    if (input.kind() != Input::Kind::kTensors) {
      return {{"image", decode_image(input.read(), input.name(), max_pixels_)}};
    }
    const auto& tensors = input.tensors();
    if (tensors.size() != 1) {
      throw Error(ErrorCode::kInvalidInput, cat(input.name(), ": ", tensors.size(), " tensors; ", name_, " takes one picture"));
    }
    const Tensor& image = tensors[0].tensor;
    const Dims& shape = image.shape();
    if (image.dtype() != DType::kUInt8 || shape.size() != 3 || shape[2] != 3 || shape[0] < 1 || shape[1] < 1) {
      throw Error(ErrorCode::kInvalidInput, cat(input.name(), ": ", image.to_string(0), "; ", name_,
                                                " takes a picture as uint8 [H, W, 3]"));
    }
    if (shape[0] > max_pixels_ / shape[1]) {
      throw Error(ErrorCode::kInvalidInput, cat(input.name(), ": a picture of ", shape[1], " x ", shape[0],
                                                " pixels; at most ", max_pixels_, " are taken"));
    }
    return {{"image", image}};
  }

  bool staged() const override { return true; }

  Answer answer(std::vector<NamedTensor> outputs, const RunOptions& options) const override { return labels_.answer(outputs, options); }

 private:
  Labels labels_;
  std::string name_;
  std::int64_t max_pixels_;
};

}  // namespace

std::unique_ptr<Task> make_image_classification(const Manifest& manifest, std::int64_t max_pixels) {
  return std::make_unique<ImageClassification>(manifest, max_pixels);
}

}  // namespace portfire
