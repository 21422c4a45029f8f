#include "codecs/layout.h"

#include <bit>
#include <cstring>
#include <limits>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire {

static_assert(std::endian::native == std::endian::little, "elements are copied as the file has them");

Dims checked_shape(std::string_view what, DType dtype, std::span<const std::int64_t> sizes) {
  if (sizes.size() > Dims::kMaxRank) {
    throw Error(ErrorCode::kUnsupported,
                cat(what, ": a shape of ", sizes.size(), " axes; at most ", Dims::kMaxRank, " are supported"));
  }
  const Dims shape(sizes);
  // Zeros are left out, as in strides: [0, 2**62, 2**62] is empty, but no layout could address it.
  std::int64_t most = std::numeric_limits<std::int64_t>::max() / static_cast<std::int64_t>(size_of(dtype));
  for (const std::int64_t size : sizes) {
    if (size < 0) {
      throw Error(ErrorCode::kInvalidInput, cat(what, ": shape ", shape.to_string(), " has a size below zero"));
    }
    if (size > most) {
      throw Error(ErrorCode::kInvalidInput, cat(what, ": shape ", shape.to_string(), " is larger than memory can be"));
    }
    if (size > 1) most /= size;
  }
  return shape;
}

Tensor tensor_from_bytes(std::string_view what, std::span<const std::byte> bytes, DType dtype, const Dims& shape) {
  std::uint64_t needed = size_of(dtype);
  for (const std::int64_t size : shape) needed *= static_cast<std::uint64_t>(size);
  if (bytes.size() != needed) {
    throw Error(ErrorCode::kInvalidInput, cat(what, ": ", bytes.size(), " bytes of elements; ", name_of(dtype), " ",
                                              shape.to_string(), " takes ", needed));
  }
  if (dtype == DType::kBool) {
    for (const std::byte value : bytes) {
      if (value > std::byte{1}) {
        throw Error(ErrorCode::kInvalidInput,
                    cat(what, ": a bool of value ", std::to_integer<int>(value), "; 0 or 1 is needed"));
      }
    }
  }
  Tensor tensor = Tensor::zeros(dtype, shape);
  if (!bytes.empty()) std::memcpy(tensor.mutable_data(), bytes.data(), bytes.size());
  return tensor;
}

}  // namespace portfire
