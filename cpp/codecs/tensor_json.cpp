#include "codecs/tensor_json.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "core/half.h"

namespace portfire {
namespace {

template <typename T>
void append_number(std::string& out, T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) {
      out += "null";
      return;
    }
  }
  char text[64];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace

void append_json_element(std::string& out, DType dtype, const std::byte* at) {
  switch (dtype) {
    case DType::kBool: out += load<std::uint8_t>(at) != 0 ? "true" : "false"; return;
    case DType::kUInt8: return append_number(out, int{load<std::uint8_t>(at)});
    case DType::kInt8: return append_number(out, int{load<std::int8_t>(at)});
    case DType::kInt16: return append_number(out, load<std::int16_t>(at));
    case DType::kInt32: return append_number(out, load<std::int32_t>(at));
    case DType::kInt64: return append_number(out, load<std::int64_t>(at));
    case DType::kFloat16: return append_number(out, float_from_half(load<std::uint16_t>(at)));
    case DType::kBFloat16: return append_number(out, float_from_bfloat16(load<std::uint16_t>(at)));
    case DType::kFloat32: return append_number(out, load<float>(at));
    case DType::kFloat64: return append_number(out, load<double>(at));
  }
}

void append_json_elements(std::string& out, const Tensor& tensor, const char* separator) {
  const auto* at = static_cast<const std::byte*>(tensor.data());
  const std::size_t size = size_of(tensor.dtype());
  for (std::int64_t k = 0; k < tensor.numel(); ++k, at += size) {
    if (k > 0) out += separator;
    append_json_element(out, tensor.dtype(), at);
  }
}

}  // namespace portfire
