#include "engine/libtorch/image_tensor.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::libtorch {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::kInvalidArgument, what); }

void check(const ImageTensorOptions& options) {
  if (options.channels != 1 && options.channels != 3) refuse(cat("channels is ", options.channels, "; 1 or 3"));
  const bool kept = options.height == 0 && options.width == 0;
  if (!kept && (options.height < 1 || options.width < 1)) {
    refuse(cat("image size ", options.height, " x ", options.width, "; give height and width, or neither"));
  }
  const auto check_count = [&](const char* name, const std::vector<double>& values) {
    if (values.size() <= 1 || values.size() == static_cast<std::size_t>(options.channels)) return;
    refuse(cat(name, " has ", values.size(), " values; one, or one for each of ", options.channels, " channels"));
  };
  check_count("mean", options.mean);
  check_count("deviation", options.deviation);
  if (std::find(options.deviation.begin(), options.deviation.end(), 0.0) != options.deviation.end()) {
    refuse("deviation is 0; pixels are divided by it");
  }
}

at::Tensor per_channel(const std::vector<double>& values) {
  return at::tensor(at::ArrayRef<double>(values), at::kFloat).view({1, -1, 1, 1});
}

}  // namespace

at::Tensor image_tensor(const at::Tensor& image, const ImageTensorOptions& options) {
  check(options);
  at::Tensor x = image.permute({2, 0, 1}).to(at::kFloat).unsqueeze(0);
  if (options.height > 0) x = at::_upsample_bilinear2d_aa(x, {options.height, options.width}, false);
  if (options.channels == 1) x = (x * at::tensor({0.299F, 0.587F, 0.114F}).view({1, 3, 1, 1})).sum(1, true);
  x = x * options.scale;
  if (!options.mean.empty()) x = x - per_channel(options.mean);
  if (!options.deviation.empty()) x = x / per_channel(options.deviation);
  return x.contiguous();
}

}  // namespace portfire::libtorch
