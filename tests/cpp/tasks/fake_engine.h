#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/engine.h"

namespace portfire::test {

/// For tasks that have none.
inline std::vector<std::byte> no_assets(const std::string&) { return {}; }

/// Methods as C++ functions on the CPU; remembers the shapes that `forward` was called with.
class FakeEngine final : public Engine {
 public:
  using Body = std::function<std::vector<NamedTensor>(std::span<const Tensor>)>;

  using Methods = std::map<std::string, Body>;

  explicit FakeEngine(Methods methods) : methods_(std::move(methods)) {}

  std::vector<NamedTensor> call(const std::string& method, std::span<const Tensor> inputs) const override;
  std::vector<Tensor> forward(std::span<const Tensor> inputs) const override;
  std::vector<Tensor> forward_in_place(std::span<const Tensor> inputs) const override { return forward(inputs); }
  Tensor stack(std::span<const Tensor> samples) const override;
  Tensor to_cpu(const Tensor& tensor) const override { return tensor; }
  Tensor image_tensor(const Tensor& image, const ImageTensorOptions&) const override { return image; }
  bool has_method(const std::string& method) const override { return methods_.contains(method); }

  /// One row a call: the shape of its first input. Calls may come from several threads; this is read when they are over.
  mutable std::vector<Dims> forwards;

 private:
  mutable std::mutex mutex_;
  Methods methods_;
};

/// A classifier of `labels`: preprocess gives the mean of the picture's red, as float32 [1]; forward one
/// logit a class, 1 where the mean is the class's index, else 0; postprocess divides by their sum.
FakeEngine::Methods classifier(std::size_t classes);
Manifest classifier_manifest(const std::vector<std::string>& labels, std::int64_t max_batch);

/// A PNG of one colour.
std::vector<std::byte> grey_png(std::uint8_t value, std::int64_t width = 2, std::int64_t height = 2);

}  // namespace portfire::test
