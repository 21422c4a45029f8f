#include "api/sample_inputs.h"

#include <algorithm>
#include <limits>
#include <random>
#include <span>
#include <type_traits>

#include "api/signature.h"
#include "core/text.h"
#include "tasks/check.h"

namespace portfire {
namespace {

constexpr double kMostValues = 1 << 26;

template <typename T>
void fill(Tensor& tensor, double low, double high, std::mt19937& random) {
  auto* values = static_cast<T*>(tensor.mutable_data());
  if constexpr (!std::is_floating_point_v<T>) {  // what a manifest may say and T not hold
    constexpr double kLeast = static_cast<double>(std::numeric_limits<T>::min());
    constexpr double kLargest = sizeof(T) < 8 ? static_cast<double>(std::numeric_limits<T>::max()) : 9.2e18;
    low = std::clamp(low, kLeast, kLargest);
    high = std::clamp(high, kLeast, kLargest);
  }
  for (std::int64_t k = 0; k < tensor.numel(); ++k) {
    if constexpr (std::is_floating_point_v<T>) {
      values[k] = static_cast<T>(std::uniform_real_distribution<double>(low, high)(random));
    } else {
      values[k] = static_cast<T>(std::uniform_int_distribution<std::int64_t>(static_cast<std::int64_t>(low),
                                                                            static_cast<std::int64_t>(high))(random));
    }
  }
}

std::vector<std::int64_t> sizes_of(const TensorSpec& spec, std::int64_t batch) {
  std::vector<std::int64_t> sizes;
  for (std::size_t axis = 0; axis < spec.shape.size(); ++axis) {
    const Dimension& dimension = spec.shape[axis];
    const bool is_batch = axis == 0 && !dimension.symbol.empty();
    if (!dimension.symbol.empty() && !is_batch) {
      throw Error(ErrorCode::kInvalidArgument, cat("input ", spec.name, ": the size ", dimension.symbol,
                                                   " is not fixed by the manifest; give the shape, as in --shape ", spec.name, "=1,3,224,224"));
    }
    sizes.push_back(is_batch ? batch : dimension.size);
  }
  return sizes;
}

/// Seeded values within the declared range; dtypes that have no C++ type stay zero.
Tensor made_up(const TensorSpec& spec, const std::vector<std::int64_t>& sizes, std::mt19937& random) {
  Tensor tensor = Tensor::zeros(spec.dtype, Dims(std::span<const std::int64_t>(sizes)));
  const double low = spec.minimum.value_or(0);
  const double high = std::max(low, spec.maximum.value_or(1));
  switch (spec.dtype) {
    case DType::kUInt8: fill<std::uint8_t>(tensor, low, high, random); break;
    case DType::kInt32: fill<std::int32_t>(tensor, low, high, random); break;
    case DType::kInt64: fill<std::int64_t>(tensor, low, high, random); break;
    case DType::kFloat32: fill<float>(tensor, low, high, random); break;
    case DType::kFloat64: fill<double>(tensor, low, high, random); break;
    default: break;
  }
  return tensor;
}

}  // namespace

std::vector<Tensor> sample_inputs(const ModelInfo& info, const std::vector<NamedTensor>& given, std::int64_t batch) {
  if (!given.empty()) return in_order(forward_inputs(info), given, info.path);
  if (!info.signature) {
    throw Error(ErrorCode::kInvalidArgument, cat(info.path, ": nothing says what forward takes; give its shapes, as in --shape x=1,3,224,224"));
  }
  std::vector<Tensor> inputs;
  std::mt19937 random(0);
  for (const TensorSpec& spec : info.signature->inputs) inputs.push_back(made_up(spec, sizes_of(spec, batch), random));
  return inputs;
}

std::vector<Tensor> smallest_inputs(const MethodSpec& signature) {
  std::vector<Tensor> inputs;
  std::mt19937 random(0);
  double all = 0;
  for (const TensorSpec& spec : signature.inputs) {
    std::vector<std::int64_t> sizes;
    double values = 1;
    for (const Dimension& dimension : spec.shape) {
      sizes.push_back(dimension.symbol.empty() ? dimension.size : std::max<std::int64_t>(dimension.least, 1));
      values *= static_cast<double>(sizes.back());
    }
    all += values;
    if (all > kMostValues) throw Error(ErrorCode::kResourceExhausted, cat("inputs up to ", spec.name, ": ", all, " values"));
    inputs.push_back(made_up(spec, sizes, random));
  }
  return inputs;
}

}  // namespace portfire
