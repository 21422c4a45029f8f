#include "fake_engine.h"

#include <cstring>

#include <portfire/codecs.h>
#include <portfire/error.h>

namespace portfire::test {
namespace {

std::vector<std::int64_t> with_axis(std::int64_t first, const Dims& rest) {
  std::vector<std::int64_t> sizes{first};
  sizes.insert(sizes.end(), rest.begin(), rest.end());
  return sizes;
}

}  // namespace

std::vector<NamedTensor> FakeEngine::call(const std::string& method, std::span<const Tensor> inputs) const {
  if (method == "forward") {
    const std::lock_guard lock(mutex_);
    forwards.push_back(inputs.empty() ? Dims{} : inputs[0].shape());
  }
  return methods_.at(method)(inputs);
}

std::vector<Tensor> FakeEngine::forward(std::span<const Tensor> inputs) const {
  std::vector<Tensor> outputs;
  for (NamedTensor& output : call("forward", inputs)) outputs.push_back(std::move(output.tensor));
  return outputs;
}

Tensor FakeEngine::stack(std::span<const Tensor> samples) const {
  const auto sizes = with_axis(static_cast<std::int64_t>(samples.size()), samples[0].shape());
  Tensor batch = Tensor::zeros(samples[0].dtype(), Dims(std::span<const std::int64_t>(sizes)));
  auto* at = static_cast<std::byte*>(batch.mutable_data());
  for (const Tensor& sample : samples) {
    if (sample.shape() != samples[0].shape() || sample.dtype() != samples[0].dtype()) {
      throw Error(ErrorCode::kInternal, "unlike samples were stacked");
    }
    std::memcpy(at, sample.contiguous().data(), sample.nbytes());
    at += sample.nbytes();
  }
  return batch;
}

FakeEngine::Methods classifier(std::size_t classes) {
  const auto preprocess = [](std::span<const Tensor> inputs) {
    return std::vector<NamedTensor>{{"output", Tensor::copy_of(std::vector<float>{static_cast<float>(inputs[0].values<std::uint8_t>()[0])}, {1})}};
  };
  const auto forward = [classes](std::span<const Tensor> inputs) {
    const std::int64_t batch = inputs[0].shape()[0];
    Tensor logits = Tensor::zeros(DType::kFloat32, {batch, static_cast<std::int64_t>(classes)});
    auto* at = static_cast<float*>(logits.mutable_data());
    for (const float mean : inputs[0].values<float>()) {
      for (std::size_t k = 0; k < classes; ++k) *at++ = static_cast<float>(k) == mean ? 1.0F : 0.0F;
    }
    return std::vector<NamedTensor>{{"output", logits}};
  };
  const auto postprocess = [](std::span<const Tensor> inputs) {
    return std::vector<NamedTensor>{{"output", inputs[0]}};
  };
  return {{"preprocess", preprocess}, {"forward", forward}, {"postprocess", postprocess}};
}

Manifest classifier_manifest(const std::vector<std::string>& labels, std::int64_t max_batch) {
  const auto value = [](const std::string& name, DType dtype, std::size_t rank) {
    TensorSpec spec;
    spec.name = name;
    spec.dtype = dtype;
    for (std::size_t axis = 0; axis < rank; ++axis) spec.shape.push_back({.size = -1, .symbol = std::string(1, static_cast<char>('A' + axis))});
    return spec;
  };
  Manifest manifest;
  manifest.name = "greys";
  manifest.task = "image-classification";
  manifest.raw_input = {.kind = "image", .max_pixels = 100};
  manifest.labels = labels;
  manifest.max_batch = max_batch;
  manifest.methods = {{"preprocess", {value("image", DType::kUInt8, 3)}, {value("mean", DType::kFloat32, 1)}},
                      {"forward", {value("mean", DType::kFloat32, 2)}, {value("logits", DType::kFloat32, 2)}},
                      {"postprocess", {value("logits", DType::kFloat32, 1)}, {value("probabilities", DType::kFloat32, 1)}}};
  return manifest;
}

std::vector<std::byte> grey_png(std::uint8_t value, std::int64_t width, std::int64_t height) {
  return encode_png(Tensor::copy_of(std::vector<std::uint8_t>(static_cast<std::size_t>(width * height), value), {height, width}));
}

}  // namespace portfire::test
