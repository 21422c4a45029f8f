#include "transport/wire/infer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include <portfire/error.h>

#include "codecs/tensor_json.h"
#include "core/half.h"
#include "core/text.h"

namespace portfire::wire {
namespace {

struct Name {
  DType dtype;
  std::string_view datatype;
};

constexpr std::array<Name, 10> kNames{{{DType::kBool, "BOOL"}, {DType::kUInt8, "UINT8"}, {DType::kInt8, "INT8"}, {DType::kInt16, "INT16"},
                                       {DType::kInt32, "INT32"}, {DType::kInt64, "INT64"}, {DType::kFloat16, "FP16"}, {DType::kBFloat16, "BF16"},
                                       {DType::kFloat32, "FP32"}, {DType::kFloat64, "FP64"}}};

/// Exact for whole numbers of 64 bits too, where long double has as many.
long double value_at(const Tensor& tensor, std::int64_t index) {
  const auto* at = static_cast<const std::byte*>(tensor.data()) + index * static_cast<std::int64_t>(size_of(tensor.dtype()));
  switch (tensor.dtype()) {
    case DType::kFloat32: return *reinterpret_cast<const float*>(at);
    case DType::kFloat64: return *reinterpret_cast<const double*>(at);
    case DType::kFloat16: return float_from_half(*reinterpret_cast<const std::uint16_t*>(at));
    case DType::kBFloat16: return float_from_bfloat16(*reinterpret_cast<const std::uint16_t*>(at));
    case DType::kInt64: return static_cast<long double>(*reinterpret_cast<const std::int64_t*>(at));
    case DType::kInt32: return *reinterpret_cast<const std::int32_t*>(at);
    case DType::kInt16: return *reinterpret_cast<const std::int16_t*>(at);
    case DType::kInt8: return *reinterpret_cast<const std::int8_t*>(at);
    default: return *reinterpret_cast<const std::uint8_t*>(at);
  }
}

/// The `classes` greatest values of each row of the last axis, "value:index:label".
InferOutput classified(const WantedOutput& wanted, const Tensor& given, const std::vector<std::string>& labels, bool binary) {
  const Tensor tensor = given.contiguous();
  if (tensor.rank() == 0 || tensor.shape()[tensor.rank() - 1] == 0) {
    throw Error(ErrorCode::kInvalidArgument, cat("the output ", wanted.name, " is ", tensor.to_string(0), ", which has no classes; ask for it without \"classification\""));
  }
  const std::int64_t width = tensor.shape()[tensor.rank() - 1];
  const std::int64_t most = std::min(wanted.classes, width);
  InferOutput out{.name = wanted.name, .is_text = true, .shape = tensor.shape(), .binary = binary};
  out.shape[tensor.rank() - 1] = most;
  for (std::int64_t row = 0; row < tensor.numel() / width; ++row) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(width));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      const long double one = value_at(tensor, row * width + a);
      const long double other = value_at(tensor, row * width + b);
      return one > other || (std::isnan(other) && !std::isnan(one));
    });
    for (std::int64_t k = 0; k < most; ++k) {
      const std::int64_t index = order[static_cast<std::size_t>(k)];
      std::string text;
      append_json_element(text, tensor.dtype(), static_cast<const std::byte*>(tensor.data()) + (row * width + index) * static_cast<std::int64_t>(size_of(tensor.dtype())));
      text += cat(':', index);
      if (static_cast<std::size_t>(index) < labels.size()) text += cat(':', labels[static_cast<std::size_t>(index)]);
      out.texts.push_back(std::move(text));
    }
  }
  return out;
}

InferOutput plain(const std::string& name, const Tensor& tensor, bool binary) {
  return {.name = name, .tensor = tensor.contiguous(), .shape = tensor.shape(), .binary = binary};
}

}  // namespace

std::string_view datatype_of(DType dtype) noexcept {
  return std::find_if(kNames.begin(), kNames.end(), [&](const Name& one) { return one.dtype == dtype; })->datatype;
}

DType dtype_of(std::string_view datatype, std::string_view input) {
  const auto found = std::find_if(kNames.begin(), kNames.end(), [&](const Name& one) { return one.datatype == datatype; });
  if (found != kNames.end()) return found->dtype;
  throw Error(ErrorCode::kInvalidInput, cat("the input ", quoted(input), " has the datatype ", quoted(datatype), "; one of BOOL, UINT8, INT8, INT16, INT32, INT64, FP16, BF16, FP32, FP64"));
}

std::vector<InferOutput> chosen_outputs(const InferRequest& request, std::vector<NamedTensor> outputs, const std::vector<std::string>& labels) {
  std::vector<InferOutput> chosen;
  if (request.outputs.empty()) {
    for (const NamedTensor& output : outputs) chosen.push_back(plain(output.name, output.tensor, request.all_binary));
    return chosen;
  }
  std::set<std::string_view> asked;
  for (const WantedOutput& wanted : request.outputs) {
    // A short request must not make a reply of any length.
    if (!asked.insert(wanted.name).second) throw Error(ErrorCode::kInvalidInput, cat("the output ", quoted(wanted.name), " is asked for twice"));
    const auto found = std::find_if(outputs.begin(), outputs.end(), [&](const NamedTensor& one) { return one.name == wanted.name; });
    if (found == outputs.end()) {
      std::string names;
      for (const NamedTensor& one : outputs) names += cat(names.empty() ? "" : ", ", one.name);
      throw Error(ErrorCode::kInvalidInput, cat("there is no output ", quoted(wanted.name), "; there is ", names));
    }
    const bool binary = wanted.binary.value_or(request.all_binary);
    chosen.push_back(wanted.classes > 0 ? classified(wanted, found->tensor, labels, binary) : plain(wanted.name, found->tensor, binary));
  }
  return chosen;
}

std::shared_ptr<serving::Job> job_for(InferRequest& request) {
  if (request.timeout_us < 0) throw Error(ErrorCode::kInvalidArgument, cat("timeout is ", request.timeout_us, "; microseconds, 0 for none"));
  if (request.priority < 0) throw Error(ErrorCode::kInvalidArgument, cat("priority is ", request.priority, "; 1 is the most urgent, 0 the usual"));
  auto job = std::make_shared<serving::Job>();
  job->input = std::move(request.inputs);
  if (request.timeout_us > 0) job->deadline = serving::Clock::now() + std::chrono::microseconds(std::min<std::int64_t>(request.timeout_us, std::int64_t{1} << 40));
  // 1 is the most urgent of as many as there may be; what says nothing comes after all that do.
  job->priority = request.priority == 0 ? 0 : static_cast<int>(1 + (std::int64_t{1} << 20) - std::min<std::int64_t>(request.priority, std::int64_t{1} << 20));
  return job;
}

std::string packed_texts(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) {
    for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>((text.size() >> shift) & 255);
    out += text;
  }
  return out;
}

}  // namespace portfire::wire
