#include "tasks/check.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>

#include <portfire/error.h>

#include "core/half.h"
#include "core/text.h"

namespace portfire {
namespace {

std::string shape_text(const TensorSpec& spec) {
  std::string out = "[";
  for (std::size_t axis = 0; axis < spec.shape.size(); ++axis) {
    const Dimension& dimension = spec.shape[axis];
    out += cat(axis == 0 ? "" : ", ", dimension.symbol.empty() ? cat(dimension.size) : dimension.symbol);
  }
  return out + "]";
}

[[noreturn]] void refuse(const std::string& model, const MethodSpec& method, const TensorSpec& spec, const std::string& what) {
  throw Error(ErrorCode::kInvalidInput, cat(model, ": ", method.name, ": ", spec.name, ": ", what));
}

struct Range {
  double low;
  double high;
};

template <typename T>
bool all_within(const Tensor& tensor, Range range) {
  // The comparison that NaN fails, summed without a branch so that it vectorises.
  bool outside = false;
  for (const T value : tensor.values<T>()) {
    const auto x = static_cast<double>(value);
    outside |= !(x >= range.low && x <= range.high);
  }
  return !outside;
}

template <float (*Convert)(std::uint16_t)>
bool all_half_within(const Tensor& tensor, Range range) {
  const auto* values = static_cast<const std::uint16_t*>(tensor.data());
  return std::all_of(values, values + tensor.numel(), [range](std::uint16_t bits) {
    const double x = Convert(bits);
    return x >= range.low && x <= range.high;
  });
}

bool within(const Tensor& tensor, Range range) {
  switch (tensor.dtype()) {
    case DType::kBool: return true;
    case DType::kUInt8: return all_within<std::uint8_t>(tensor, range);
    case DType::kInt8: return all_within<std::int8_t>(tensor, range);
    case DType::kInt16: return all_within<std::int16_t>(tensor, range);
    case DType::kInt32: return all_within<std::int32_t>(tensor, range);
    case DType::kInt64: return all_within<std::int64_t>(tensor, range);
    case DType::kFloat16: return all_half_within<float_from_half>(tensor, range);
    case DType::kBFloat16: return all_half_within<float_from_bfloat16>(tensor, range);
    case DType::kFloat32: return all_within<float>(tensor, range);
    case DType::kFloat64: return all_within<double>(tensor, range);
  }
  return false;
}

bool covers_dtype(DType dtype, Range range) {
  return dtype == DType::kUInt8 && range.low <= 0 && range.high >= 255;
}

std::string bounds_text(const Dimension& dimension) {
  const bool open = dimension.most == std::numeric_limits<std::int64_t>::max();
  return open ? cat("at least ", dimension.least) : cat(dimension.least, " to ", dimension.most);
}

/// The size that a symbol stands for: that of its first use. Methods have few, so looking is faster than a map.
std::int64_t size_of_symbol(const std::string& symbol, const MethodSpec& method, std::span<const Tensor> inputs) {
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const std::vector<Dimension>& shape = method.inputs[k].shape;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      if (shape[axis].symbol == symbol) return inputs[k].shape()[axis];
    }
  }
  return -1;  // not reached: the use that is asked for is one
}

}  // namespace

void check_inputs(const MethodSpec& method, std::span<const Tensor> inputs, const std::string& model) {
  if (inputs.size() != method.inputs.size()) {
    std::string names;
    for (const TensorSpec& spec : method.inputs) names += cat(names.empty() ? "" : ", ", spec.name);
    throw Error(ErrorCode::kInvalidInput, cat(model, ": ", method.name, ": ", inputs.size(), " inputs; it takes ",
                                              method.inputs.size(), " (", names, ")"));
  }
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const TensorSpec& spec = method.inputs[k];
    const Tensor& input = inputs[k];
    if (input.dtype() != spec.dtype) {
      refuse(model, method, spec, cat("dtype ", name_of(input.dtype()), "; ", name_of(spec.dtype), " is needed"));
    }
    const Dims& shape = input.shape();
    if (shape.size() != spec.shape.size()) {
      refuse(model, method, spec, cat("shape ", shape.to_string(), "; ", shape_text(spec), " is needed"));
    }
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      const Dimension& dimension = spec.shape[axis];
      std::int64_t wanted = dimension.size;
      if (!dimension.symbol.empty()) {
        wanted = size_of_symbol(dimension.symbol, method, inputs);
        if (shape[axis] == 0) refuse(model, method, spec, cat("shape ", shape.to_string(), " is empty; ", shape_text(spec), " with sizes of at least 1 is needed"));
      }
      if (!dimension.symbol.empty() && (shape[axis] < dimension.least || shape[axis] > dimension.most)) {
        refuse(model, method, spec, cat("shape ", shape.to_string(), "; ", shape_text(spec), " with ", dimension.symbol, " of ",
                                        bounds_text(dimension), " is needed"));
      }
      if (shape[axis] != wanted) {
        refuse(model, method, spec, cat("shape ", shape.to_string(), "; ", shape_text(spec), " is needed",
                                        dimension.symbol.empty() ? "" : cat(" with ", dimension.symbol, " = ", wanted, " as before")));
      }
    }
    if (!spec.minimum && !spec.maximum) continue;
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const Range range{spec.minimum.value_or(-kInfinity), spec.maximum.value_or(kInfinity)};
    // On a GPU the values would have to come back first; the graph's own checks remain.
    if (input.device().kind != Device::Kind::kCpu || covers_dtype(spec.dtype, range)) continue;
    if (!within(input.contiguous(), range)) {
      refuse(model, method, spec, cat("a value is NaN or outside ", range.low, " to ", range.high));
    }
  }
}

std::vector<Tensor> in_order(const std::vector<std::string>& names, const std::vector<NamedTensor>& inputs,
                             const std::string& model) {
  std::string allowed;
  for (const std::string& name : names) allowed += cat(allowed.empty() ? "" : ", ", name);
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorCode::kInvalidInput, cat(model, ": ", what, "; its inputs are ", allowed.empty() ? "none" : allowed));
  };
  std::vector<std::optional<Tensor>> placed(names.size());
  std::size_t used = 0;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const auto found = std::find(names.begin(), names.end(), inputs[k].name);
    const std::size_t at = inputs[k].name.empty() ? k : static_cast<std::size_t>(found - names.begin());
    if (at >= names.size()) {
      fail(inputs[k].name.empty() ? cat(inputs.size(), " tensors given") : cat("no input ", quoted(inputs[k].name)));
    }
    if (placed[at]) fail(cat("input ", quoted(names[at]), " is given twice"));
    placed[at] = inputs[k].tensor;
    used = std::max(used, at + 1);
  }
  std::vector<Tensor> ordered;
  for (std::size_t k = 0; k < used; ++k) {
    if (!placed[k]) fail(cat("input ", quoted(names[k]), " is missing"));
    ordered.push_back(*placed[k]);
  }
  return ordered;
}

}  // namespace portfire
