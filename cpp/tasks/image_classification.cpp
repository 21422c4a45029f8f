#include "tasks/image_classification.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <portfire/codecs.h>
#include <portfire/error.h>

#include "core/text.h"

namespace portfire {
namespace {

class ImageClassification final : public Task {
 public:
  ImageClassification(const Manifest& manifest, std::int64_t max_pixels)
      : labels_(manifest.labels), name_(manifest.name), max_pixels_(max_pixels) {}

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

  Answer answer(std::vector<NamedTensor> outputs, const RunOptions& options) const override {
    if (options.top_k < 1) {
      throw Error(ErrorCode::kInvalidArgument, cat("top_k is ", options.top_k, "; at least 1"));
    }
    const auto classes = static_cast<std::int64_t>(labels_.size());
    if (outputs.empty() || outputs[0].tensor.dtype() != DType::kFloat32 || outputs[0].tensor.shape() != Dims{classes}) {
      throw Error(ErrorCode::kInvalidPackage, cat(name_, ": postprocess gave ",
                                                  outputs.empty() ? "nothing" : outputs[0].tensor.to_string(0),
                                                  "; float32 [", classes, "] is needed, one probability a label"));
    }
    const Tensor plain = outputs[0].tensor.contiguous();
    const auto probabilities = plain.values<float>();
    const auto nan = std::find_if(probabilities.begin(), probabilities.end(), [](float p) { return std::isnan(p); });
    if (nan != probabilities.end()) {
      throw Error(ErrorCode::kInvalidPackage, cat(name_, ": postprocess gave NaN for label ",
                                                  quoted(labels_[static_cast<std::size_t>(nan - probabilities.begin())])));
    }
    std::vector<std::size_t> order(labels_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto shown = std::min(order.size(), static_cast<std::size_t>(options.top_k));
    // Equal probabilities keep the order of the labels, so that an answer never depends on the sort.
    const auto better = [&](std::size_t a, std::size_t b) {
      return probabilities[a] != probabilities[b] ? probabilities[a] > probabilities[b] : a < b;
    };
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(), better);
    Classification result;
    for (std::size_t k = 0; k < shown; ++k) {
      result.top.push_back({static_cast<std::int64_t>(order[k]), labels_[order[k]], probabilities[order[k]]});
    }
    return {result};
  }

 private:
  std::vector<std::string> labels_;
  std::string name_;
  std::int64_t max_pixels_;
};

}  // namespace

std::unique_ptr<Task> make_image_classification(const Manifest& manifest, std::int64_t max_pixels) {
  return std::make_unique<ImageClassification>(manifest, max_pixels);
}

}  // namespace portfire
