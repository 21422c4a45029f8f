#pragma once

#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <c10/core/Scalar.h>

#include <optional>
#include <string>
#include <string_view>

#include "engine/graph/kernels/direct/layer.h"

namespace portfire::graph {

/// What oneDNN applies to a layer's result while it is in registers, in the words of LibTorch's `mkldnn::` operators.
struct Epilogue {
  std::string activation = "none";  ///< "relu", "gelu", "hardtanh", …
  c10::List<std::optional<at::Scalar>> scalars{};
  std::optional<std::string> algorithm{};  ///< of gelu: "none" or "tanh"
  bool adds = false;                       ///< another tensor first

  std::optional<std::string_view> algorithm_view() const {
    return algorithm ? std::optional<std::string_view>(*algorithm) : std::nullopt;
  }
};

/// The same by LibTorch's own operators; `y` is the layer's result and is written to, `other` is what it adds, or undefined.
at::Tensor apply(const Epilogue& epilogue, at::Tensor y, const at::Tensor& other);

/// Where all that the activation does is to hold the result within bounds, those bounds.
std::optional<direct::Bounds> bounds_of(const Epilogue& epilogue);

}  // namespace portfire::graph
