#include "tasks/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/half.h"
#include "core/text.h"

namespace portfire {
namespace {

template <typename T>
double value_at(const Tensor& tensor, std::int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const std::byte*>(tensor.data()) + static_cast<std::size_t>(index) * sizeof(T), sizeof(T));
  return static_cast<double>(value);
}

double element(const Tensor& tensor, std::int64_t index) {
  const auto bits = [&] { return static_cast<const std::uint16_t*>(tensor.data())[index]; };
  switch (tensor.dtype()) {
    case DType::kBool:
    case DType::kUInt8: return value_at<std::uint8_t>(tensor, index);
    case DType::kInt8: return value_at<std::int8_t>(tensor, index);
    case DType::kInt16: return value_at<std::int16_t>(tensor, index);
    case DType::kInt32: return value_at<std::int32_t>(tensor, index);
    case DType::kInt64: return value_at<std::int64_t>(tensor, index);
    case DType::kFloat16: return float_from_half(bits());
    case DType::kBFloat16: return float_from_bfloat16(bits());
    case DType::kFloat32: return value_at<float>(tensor, index);
    case DType::kFloat64: return value_at<double>(tensor, index);
  }
  return 0;
}

}  // namespace

Difference compare(const Tensor& actual_any, const Tensor& expected_any, const Tolerance& tolerance) {
  Difference result;
  if (actual_any.dtype() != expected_any.dtype() || actual_any.shape() != expected_any.shape()) {
    result.within = false;
    result.problem = cat(actual_any.to_string(0), " came out; ", expected_any.to_string(0), " was expected");
    return result;
  }
  const Tensor actual = actual_any.contiguous();
  const Tensor expected = expected_any.contiguous();
  std::int64_t outside = 0;
  for (std::int64_t k = 0; k < actual.numel(); ++k) {
    const double a = element(actual, k);
    const double e = element(expected, k);
    if (a == e || (std::isnan(a) && std::isnan(e))) continue;
    const double error = std::abs(a - e);
    if (!std::isfinite(error)) {  // one is NaN, or an infinity of its own
      result.max_abs = result.max_rel = std::numeric_limits<double>::infinity();
      ++outside;
      continue;
    }
    result.max_abs = std::max(result.max_abs, error);
    if (e != 0) result.max_rel = std::max(result.max_rel, error / std::abs(e));
    if (error > tolerance.atol + tolerance.rtol * std::abs(e)) ++outside;
  }
  if (outside > 0) {
    result.within = false;
    result.problem = cat(outside, " of ", actual.numel(), " values off by up to ", result.max_abs, " (tolerance ",
                         tolerance.atol, " + ", tolerance.rtol, " of the value)");
  }
  return result;
}

}  // namespace portfire
