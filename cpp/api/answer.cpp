#include <portfire/answer.h>

#include <charconv>
#include <cmath>
#include <cstring>

#include <nlohmann/json.hpp>

#include <portfire/error.h>

#include "core/half.h"
#include "core/text.h"

namespace portfire {
namespace {

std::string json_string(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// The shortest text that reads back as the same number; JSON has no NaN and no infinity.
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

void append_element(std::string& out, DType dtype, const std::byte* at) {
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

/// One axis as a list; moves `at` past what it wrote.
void append_nested(std::string& out, const Tensor& tensor, std::size_t axis, const std::byte*& at) {
  if (axis == tensor.rank()) {
    append_element(out, tensor.dtype(), at);
    at += size_of(tensor.dtype());
    return;
  }
  out += '[';
  for (std::int64_t k = 0; k < tensor.shape()[axis]; ++k) {
    if (k > 0) out += ", ";
    append_nested(out, tensor, axis + 1, at);
  }
  out += ']';
}

std::string json_of(const Classification& answer) {
  std::string out = cat("{\"label\": ", json_string(answer.label()), ", \"probability\": ");
  append_number(out, answer.probability());
  out += ", \"top\": [";
  for (std::size_t k = 0; k < answer.top.size(); ++k) {
    const ScoredLabel& row = answer.top[k];
    out += cat(k == 0 ? "" : ", ", "{\"index\": ", row.index, ", \"label\": ", json_string(row.label), ", \"probability\": ");
    append_number(out, row.probability);
    out += '}';
  }
  return out + "]}";
}

std::string json_of(const TensorAnswer& answer) {
  std::string out = "{";
  for (const NamedTensor& output : answer.outputs) {
    if (out.size() > 1) out += ", ";
    const Tensor plain = output.tensor.contiguous();
    out += cat(json_string(output.name), ": {\"dtype\": \"", name_of(plain.dtype()), "\", \"shape\": ",
               plain.shape().to_string(), ", \"data\": ");
    const auto* at = static_cast<const std::byte*>(plain.data());
    append_nested(out, plain, 0, at);
    out += '}';
  }
  return out + "}";
}

std::string json_of(const GeneratedText& text) {
  std::string out = cat("{\"text\": ", json_string(text.text), ", \"finish_reason\": ", json_string(text.finish_reason), ", \"ids\": [");
  for (std::size_t k = 0; k < text.ids.size(); ++k) out += cat(k == 0 ? "" : ", ", text.ids[k]);
  out += "], \"log_probabilities\": [";
  for (std::size_t k = 0; k < text.log_probabilities.size(); ++k) {
    if (k > 0) out += ", ";
    append_number(out, text.log_probabilities[k]);
  }
  return out + "]}";
}

std::string json_of(const Generation& answer) {
  std::string out = "{\"sequences\": [";
  for (std::size_t k = 0; k < answer.sequences.size(); ++k) out += cat(k == 0 ? "" : ", ", json_of(answer.sequences[k]));
  return out + "]}";
}

template <typename T>
const T& as(const std::variant<Classification, TensorAnswer, Generation>& value, const char* wanted) {
  const T* answer = std::get_if<T>(&value);
  if (answer == nullptr) throw Error(ErrorCode::kInvalidArgument, cat("the answer is not ", wanted, "; the model has another task"));
  return *answer;
}

}  // namespace

const Classification& Answer::classification() const { return as<Classification>(value, "a classification"); }

const TensorAnswer& Answer::tensors() const { return as<TensorAnswer>(value, "made of tensors"); }

const Generation& Answer::generation() const { return as<Generation>(value, "a text that was written"); }

std::string Answer::to_json() const {
  return std::visit([](const auto& answer) { return json_of(answer); }, value);
}

}  // namespace portfire
