#include "transport/grpc/infer_message.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include <nlohmann/json.hpp>

#include <portfire/error.h>

#include "core/text.h"
#include "transport/routes/text_request.h"

namespace portfire::rpc {
namespace {

using inference::InferParameter;
using inference::InferTensorContents;
using Message = inference::ModelInferRequest;
using MessageInput = Message::InferInputTensor;
using nlohmann::json;

constexpr const char* kBytes = "BYTES";

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::kInvalidInput, what); }

std::string named(const MessageInput& input) { return cat("the input ", quoted(input.name())); }

std::int64_t whole_of(const std::string& name, const InferParameter& value) {
  if (value.has_int64_param()) return value.int64_param();
  if (value.has_uint64_param() && value.uint64_param() <= std::numeric_limits<std::int64_t>::max()) return static_cast<std::int64_t>(value.uint64_param());
  refuse(cat("the parameter ", quoted(name), " is not a whole number (int64_param)"));
}

void refuse_shared_memory(const google::protobuf::Map<std::string, InferParameter>& parameters, const std::string& where) {
  if (parameters.contains("shared_memory_region")) throw Error(ErrorCode::kUnsupported, cat(where, " lies in shared memory, which is not served; send its contents"));
}

/// Its elements, as far as they can be counted.
std::int64_t elements_of(const MessageInput& input) {
  if (static_cast<std::size_t>(input.shape_size()) > Dims::kMaxRank) refuse(cat(named(input), " has ", input.shape_size(), " axes; at most ", Dims::kMaxRank));
  std::int64_t elements = 1;
  for (const std::int64_t size : input.shape()) {
    if (size < 0) refuse(cat(named(input), " has a size of ", size));
    if (size > 0 && elements > (std::int64_t{1} << 48) / size) refuse(cat(named(input), " has a shape of more elements than a machine holds"));
    elements *= size;
  }
  return elements;
}

Dims shape_of(const MessageInput& input) { return Dims(std::span<const std::int64_t>(input.shape().data(), static_cast<std::size_t>(input.shape_size()))); }

void refuse_other_bools(const MessageInput& input, std::string_view bytes) {
  if (std::any_of(bytes.begin(), bytes.end(), [](char one) { return one != 0 && one != 1; })) refuse(cat(named(input), " is BOOL and has a byte that is neither 0 nor 1"));
}

/// The tensor owns the bytes; they are not copied.
Tensor raw_tensor(const MessageInput& input, DType dtype, std::string&& bytes) {
  const std::uint64_t wanted = static_cast<std::uint64_t>(elements_of(input)) * size_of(dtype);
  const Dims shape = shape_of(input);
  if (bytes.size() != wanted) refuse(cat(named(input), " has ", bytes.size(), " bytes of raw contents; ", input.datatype(), " ", shape.to_string(), " takes ", wanted));
  if (dtype == DType::kBool) refuse_other_bools(input, bytes);
  auto owned = std::make_unique<std::string>(std::move(bytes));
  Tensor::External memory{.data = owned->data(), .dtype = dtype, .shape = shape, .context = owned.get()};
  memory.release = [](void* context) { delete static_cast<std::string*>(context); };
  Tensor tensor = Tensor::external(memory);
  (void)owned.release();  // the tensor's
  return tensor;
}

template <typename Stored, typename Values>
Tensor typed_tensor(const MessageInput& input, DType dtype, const Values& values, const char* field) {
  const std::int64_t elements = elements_of(input);
  if (values.size() != elements) refuse(cat(named(input), " has ", values.size(), " elements in ", field, "; its shape ", shape_of(input).to_string(), " has ", elements));
  Tensor tensor = Tensor::zeros(dtype, shape_of(input));
  auto* at = static_cast<Stored*>(tensor.mutable_data());
  for (const auto value : values) {
    if constexpr (std::is_integral_v<Stored> && !std::is_same_v<Stored, bool>) {
      if (std::cmp_less(value, std::numeric_limits<Stored>::min()) || std::cmp_greater(value, std::numeric_limits<Stored>::max())) {
        refuse(cat(named(input), " holds ", value, ", more than ", input.datatype(), " does"));
      }
    }
    *at++ = static_cast<Stored>(value);
  }
  return tensor;
}

Tensor contents_tensor(const MessageInput& input, DType dtype) {
  const InferTensorContents& contents = input.contents();
  switch (dtype) {
    case DType::kBool: return typed_tensor<bool>(input, dtype, contents.bool_contents(), "bool_contents");
    case DType::kUInt8: return typed_tensor<std::uint8_t>(input, dtype, contents.uint_contents(), "uint_contents");
    case DType::kInt8: return typed_tensor<std::int8_t>(input, dtype, contents.int_contents(), "int_contents");
    case DType::kInt16: return typed_tensor<std::int16_t>(input, dtype, contents.int_contents(), "int_contents");
    case DType::kInt32: return typed_tensor<std::int32_t>(input, dtype, contents.int_contents(), "int_contents");
    case DType::kInt64: return typed_tensor<std::int64_t>(input, dtype, contents.int64_contents(), "int64_contents");
    case DType::kFloat32: return typed_tensor<float>(input, dtype, contents.fp32_contents(), "fp32_contents");
    case DType::kFloat64: return typed_tensor<double>(input, dtype, contents.fp64_contents(), "fp64_contents");
    default: refuse(cat(named(input), " is ", input.datatype(), ", which raw_input_contents alone can carry"));
  }
}

void check_raw(const Message& message) {
  if (message.raw_input_contents_size() == 0) return;
  if (message.raw_input_contents_size() != message.inputs_size()) refuse(cat("there are ", message.inputs_size(), " inputs and ", message.raw_input_contents_size(), " raw_input_contents"));
  for (const MessageInput& input : message.inputs()) {
    if (input.has_contents()) refuse(cat(named(input), " has contents beside raw_input_contents"));
  }
}

void request_parameters(const Message& message, wire::InferRequest& request) {
  for (const auto& [name, value] : message.parameters()) {
    if (name == "timeout") request.timeout_us = whole_of(name, value);
    if (name == "priority") request.priority = whole_of(name, value);
    if (name == "sequence_id" || name == "sequence_start" || name == "sequence_end") {
      throw Error(ErrorCode::kUnsupported, cat("the parameter ", quoted(name), ": sequences of requests are not kept here; text models stream (ModelStreamInfer)"));
    }
  }
}

/// The elements of BYTES, as they lie in raw contents.
std::vector<std::string> unpacked(const MessageInput& input, std::string_view bytes) {
  std::vector<std::string> texts;
  while (!bytes.empty()) {
    std::uint32_t length = 0;
    if (bytes.size() >= 4) {
      for (int k = 3; k >= 0; --k) length = length << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(k)]);
    }
    if (bytes.size() < 4 || length > bytes.size() - 4) refuse(cat(named(input), " is BYTES and its raw contents are not lengths of four bytes, each before its element"));
    texts.emplace_back(bytes.substr(4, length));
    bytes.remove_prefix(4 + length);
  }
  return texts;
}

json value_of(const Tensor& tensor, std::int64_t index) {
  const auto at = [&]<typename T>(T) { return json(static_cast<const T*>(tensor.data())[index]); };
  switch (tensor.dtype()) {
    case DType::kBool: return at(bool{});
    case DType::kUInt8: return at(std::uint8_t{});
    case DType::kInt8: return at(std::int8_t{});
    case DType::kInt16: return at(std::int16_t{});
    case DType::kInt32: return at(std::int32_t{});
    case DType::kInt64: return at(std::int64_t{});
    case DType::kFloat32: return at(float{});
    case DType::kFloat64: return at(double{});
    default: return {};
  }
}

/// An option as JSON has it: a value, or a list of as many as there are.
json option_of(const Message& message, int index) {
  const MessageInput& input = message.inputs(index);
  const bool raw = message.raw_input_contents_size() > 0;
  json all = json::array();
  if (input.datatype() == kBytes) {
    const auto& given = input.contents().bytes_contents();
    const std::vector<std::string> texts = raw ? unpacked(input, message.raw_input_contents(index)) : std::vector<std::string>(given.begin(), given.end());
    if (std::cmp_not_equal(texts.size(), elements_of(input))) refuse(cat(named(input), " has ", texts.size(), " elements; its shape ", shape_of(input).to_string(), " has ", elements_of(input)));
    for (const std::string& text : texts) all.push_back(text);
  } else {
    const DType dtype = wire::dtype_of(input.datatype(), input.name());
    const Tensor tensor = raw ? raw_tensor(input, dtype, std::string(message.raw_input_contents(index))) : contents_tensor(input, dtype);
    for (std::int64_t k = 0; k < tensor.numel(); ++k) all.push_back(value_of(tensor, k));
  }
  return all.size() == 1 ? all.front() : all;
}

json option_of(const InferParameter& value) {
  switch (value.parameter_choice_case()) {
    case InferParameter::kBoolParam: return value.bool_param();
    case InferParameter::kInt64Param: return value.int64_param();
    case InferParameter::kStringParam: return value.string_param();
    case InferParameter::kDoubleParam: return value.double_param();
    case InferParameter::kUint64Param: return value.uint64_param();
    default: return {};
  }
}

template <typename T, typename Field>
void copy_values(const Tensor& tensor, Field& field) {
  const auto* from = static_cast<const T*>(tensor.data());
  field.Reserve(static_cast<int>(tensor.numel()));
  for (std::int64_t k = 0; k < tensor.numel(); ++k) field.AddAlreadyReserved(from[k]);
}

bool has_typed(const wire::InferOutput& output) {
  return output.is_text || (output.tensor.dtype() != DType::kFloat16 && output.tensor.dtype() != DType::kBFloat16);
}

void add_contents(const wire::InferOutput& output, InferTensorContents& contents) {
  if (output.is_text) {
    for (const std::string& text : output.texts) contents.add_bytes_contents(text);
    return;
  }
  const Tensor& tensor = output.tensor;
  switch (tensor.dtype()) {
    case DType::kBool: return copy_values<bool>(tensor, *contents.mutable_bool_contents());
    case DType::kUInt8: return copy_values<std::uint8_t>(tensor, *contents.mutable_uint_contents());
    case DType::kInt8: return copy_values<std::int8_t>(tensor, *contents.mutable_int_contents());
    case DType::kInt16: return copy_values<std::int16_t>(tensor, *contents.mutable_int_contents());
    case DType::kInt32: return copy_values<std::int32_t>(tensor, *contents.mutable_int_contents());
    case DType::kInt64: return copy_values<std::int64_t>(tensor, *contents.mutable_int64_contents());
    case DType::kFloat32: return copy_values<float>(tensor, *contents.mutable_fp32_contents());
    case DType::kFloat64: return copy_values<double>(tensor, *contents.mutable_fp64_contents());
    default: return;  // has_typed
  }
}

}  // namespace

wire::InferRequest infer_request_of(Message& message) {
  wire::InferRequest request{.id = message.id()};
  request_parameters(message, request);
  check_raw(message);
  if (message.inputs().empty()) refuse("the request has no inputs");
  for (int k = 0; k < message.inputs_size(); ++k) {
    const MessageInput& input = message.inputs(k);
    if (input.name().empty()) refuse(cat("input ", k, " has no name"));
    refuse_shared_memory(input.parameters(), named(input));
    const DType dtype = wire::dtype_of(input.datatype(), input.name());
    request.inputs.push_back({input.name(), message.raw_input_contents_size() > 0 ? raw_tensor(input, dtype, std::move(*message.mutable_raw_input_contents(k)))
                                                                                  : contents_tensor(input, dtype)});
  }
  for (const auto& output : message.outputs()) {
    wire::WantedOutput wanted{.name = output.name()};
    refuse_shared_memory(output.parameters(), cat("the output ", quoted(output.name())));
    if (const auto found = output.parameters().find("classification"); found != output.parameters().end()) wanted.classes = whole_of(found->first, found->second);
    if (wanted.classes < 0) throw Error(ErrorCode::kInvalidArgument, cat("the output ", quoted(output.name()), " is asked for ", wanted.classes, " classes"));
    request.outputs.push_back(std::move(wanted));
  }
  return request;
}

bool wants_typed(const Message& message) { return message.raw_input_contents_size() == 0; }

void add_outputs(const std::vector<wire::InferOutput>& outputs, bool typed, inference::ModelInferResponse& message) {
  typed = typed && std::all_of(outputs.begin(), outputs.end(), has_typed);
  for (const wire::InferOutput& output : outputs) {
    auto& made = *message.add_outputs();
    made.set_name(output.name);
    const std::string_view datatype = output.is_text ? kBytes : wire::datatype_of(output.tensor.dtype());
    made.set_datatype(datatype.data(), datatype.size());
    made.mutable_shape()->Add(output.shape.begin(), output.shape.end());
    if (typed) {
      add_contents(output, *made.mutable_contents());
    } else if (output.is_text) {
      message.add_raw_output_contents(wire::packed_texts(output.texts));
    } else {
      message.add_raw_output_contents(output.tensor.data(), output.tensor.nbytes());
    }
  }
}

std::optional<TextRequest> text_request_of(const Message& message) {
  const auto is_text = [](const MessageInput& input) { return input.name() == kTextInput; };
  if (std::none_of(message.inputs().begin(), message.inputs().end(), is_text)) return std::nullopt;
  check_raw(message);
  TextRequest request;
  json options = json::object();
  for (const auto& [name, value] : message.parameters()) options[name] = option_of(value);
  for (int k = 0; k < message.inputs_size(); ++k) {
    const MessageInput& input = message.inputs(k);
    refuse_shared_memory(input.parameters(), named(input));
    json given = option_of(message, k);
    if (!is_text(input)) {
      options[input.name()] = std::move(given);
    } else if (given.is_string()) {
      request.prompt = given.get<std::string>();
    } else {
      refuse(cat(named(input), " is ", input.datatype(), " ", shape_of(input).to_string(), "; BYTES of one element"));
    }
  }
  routes::Fields fields(std::move(options), "");
  request.options = routes::generate_options_of(fields);
  return request;
}

}  // namespace portfire::rpc
