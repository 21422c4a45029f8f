#include <portfire/answer.h>

#include <cstddef>

#include <nlohmann/json.hpp>

#include <portfire/error.h>

#include "codecs/tensor_json.h"
#include "core/text.h"

namespace portfire {
namespace {

std::string json_string(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void append_number(std::string& out, const float& value) { append_json_element(out, DType::kFloat32, reinterpret_cast<const std::byte*>(&value)); }

/// One axis as a list; moves `at` past what it wrote.
void append_nested(std::string& out, const Tensor& tensor, std::size_t axis, const std::byte*& at) {
  if (axis == tensor.rank()) {
    append_json_element(out, tensor.dtype(), at);
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
