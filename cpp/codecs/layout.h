#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <portfire/tensor.h>

namespace portfire {

/// A shape that a file claims. `what` begins the error: "x.npy". Throws kInvalidInput on a size below
/// zero and on more elements than memory can hold, kUnsupported on more than `Dims::kMaxRank` axes.
Dims checked_shape(std::string_view what, DType dtype, std::span<const std::int64_t> sizes);

/// Contiguous little-endian elements, copied. Throws kInvalidInput unless `bytes` is as long as the shape
/// says, and on a bool that is neither 0 nor 1.
Tensor tensor_from_bytes(std::string_view what, std::span<const std::byte> bytes, DType dtype, const Dims& shape);

}  // namespace portfire
