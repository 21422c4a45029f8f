#include "transport/grpc/infer_message.h"

#include <gmock/gmock.h>

#include <cstring>

#include <portfire/error.h>

namespace portfire::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using inference::ModelInferRequest;
using inference::ModelInferResponse;

ModelInferRequest::InferInputTensor& add(ModelInferRequest& message, const std::string& name, const std::string& datatype, std::initializer_list<std::int64_t> shape) {
  auto& input = *message.add_inputs();
  input.set_name(name);
  input.set_datatype(datatype);
  for (const std::int64_t size : shape) input.add_shape(size);
  return input;
}

std::string bytes_of(std::initializer_list<float> values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), std::data(values), bytes.size());
  return bytes;
}

std::string refusal(ModelInferRequest message, ErrorCode code = ErrorCode::kInvalidInput) {
  try {
    (void)infer_request_of(message);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "not refused";
}

TEST(InferMessage, RawContentsBecomeTensorsWithoutACopy) {
  ModelInferRequest message;
  add(message, "x", "FP32", {2, 1});
  message.add_raw_input_contents(bytes_of({1, 2}) + std::string(0, ' '));
  message.mutable_raw_input_contents(0)->reserve(64);  // not within the string itself
  const void* const before = message.raw_input_contents(0).data();
  const wire::InferRequest request = infer_request_of(message);
  ASSERT_EQ(request.inputs.size(), 1U);
  EXPECT_EQ(request.inputs[0].name, "x");
  EXPECT_EQ(request.inputs[0].tensor.data(), before);
  EXPECT_EQ(request.inputs[0].tensor.shape(), Dims({2, 1}));
  EXPECT_THAT(request.inputs[0].tensor.values<float>(), ElementsAre(1, 2));
}

TEST(InferMessage, TensorsOutliveTheirMessage) {
  wire::InferRequest request;
  {
    ModelInferRequest message;
    add(message, "x", "INT8", {3});
    message.add_raw_input_contents("\1\2\3");  // within the string itself
    request = infer_request_of(message);
  }
  EXPECT_THAT(request.inputs[0].tensor.values<std::int8_t>(), ElementsAre(1, 2, 3));
}

TEST(InferMessage, TypedContentsAreHeldAgainstTheirDatatype) {
  ModelInferRequest message;
  auto& input = add(message, "x", "INT8", {2});
  input.mutable_contents()->add_int_contents(-128);
  input.mutable_contents()->add_int_contents(127);
  EXPECT_THAT(infer_request_of(message).inputs[0].tensor.values<std::int8_t>(), ElementsAre(-128, 127));
  input.mutable_contents()->set_int_contents(1, 128);
  EXPECT_EQ(refusal(message), "the input \"x\" holds 128, more than INT8 does");
  input.set_datatype("UINT8");
  EXPECT_THAT(refusal(message), HasSubstr("has 0 elements in uint_contents"));
}

TEST(InferMessage, ABoolIsZeroOrOne) {
  ModelInferRequest message;
  add(message, "x", "BOOL", {2});
  message.add_raw_input_contents(std::string("\1\2"));
  EXPECT_THAT(refusal(message), HasSubstr("neither 0 nor 1"));
}

TEST(InferMessage, ParametersOfTriton) {
  ModelInferRequest message;
  add(message, "x", "INT8", {0});
  (*message.mutable_parameters())["timeout"].set_int64_param(5);
  (*message.mutable_parameters())["priority"].set_uint64_param(2);
  auto& output = *message.add_outputs();
  output.set_name("y");
  (*output.mutable_parameters())["classification"].set_int64_param(3);
  const wire::InferRequest request = infer_request_of(message);
  EXPECT_EQ(request.timeout_us, 5);
  EXPECT_EQ(request.priority, 2);
  ASSERT_EQ(request.outputs.size(), 1U);
  EXPECT_EQ(request.outputs[0].classes, 3);
  (*message.mutable_parameters())["timeout"].set_string_param("soon");
  EXPECT_EQ(refusal(message), "the parameter \"timeout\" is not a whole number (int64_param)");
  message.mutable_parameters()->erase("timeout");
  (*message.mutable_parameters())["sequence_id"].set_int64_param(1);
  EXPECT_THAT(refusal(message, ErrorCode::kUnsupported), HasSubstr("sequence_id"));
}

TEST(InferMessage, OutputsAreTypedWhereTheProtocolCan) {
  const Tensor whole = Tensor::copy_of(std::vector<std::int16_t>{-1, 2}, {2});
  const std::vector<wire::InferOutput> outputs{{.name = "a", .tensor = whole, .shape = whole.shape()}};
  ModelInferResponse typed;
  add_outputs(outputs, true, typed);
  EXPECT_THAT(typed.outputs(0).contents().int_contents(), ElementsAre(-1, 2));
  EXPECT_EQ(typed.raw_output_contents_size(), 0);
  std::vector<wire::InferOutput> halves = outputs;
  halves.push_back({.name = "b", .tensor = Tensor::zeros(DType::kFloat16, {1}), .shape = {1}});
  ModelInferResponse raw;
  add_outputs(halves, true, raw);
  EXPECT_FALSE(raw.outputs(0).has_contents());
  EXPECT_THAT(raw.raw_output_contents(), ElementsAre(std::string("\xff\xff\2\0", 4), std::string("\0\0", 2)));
}

TEST(InferMessage, ATextComesWithItsOptions) {
  ModelInferRequest message;
  EXPECT_FALSE(text_request_of(message));
  add(message, "stop", "BYTES", {2});
  message.add_raw_input_contents(wire::packed_texts({"a", ""}));
  add(message, "text_input", "BYTES", {1, 1});
  message.add_raw_input_contents(wire::packed_texts({"once"}));
  add(message, "max_tokens", "INT32", {1});
  message.add_raw_input_contents(std::string("\7\0\0\0", 4));
  (*message.mutable_parameters())["temperature"].set_double_param(0.5);
  const std::optional<TextRequest> request = text_request_of(message);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->prompt, "once");
  EXPECT_EQ(request->options.max_new_tokens, 7);
  EXPECT_EQ(request->options.temperature, 0.5);
  EXPECT_THAT(request->options.stop, ElementsAre("a", ""));
  message.mutable_raw_input_contents(1)->pop_back();
  EXPECT_THROW((void)text_request_of(message), Error);
  message.set_raw_input_contents(1, wire::packed_texts({"once", "twice"}));
  EXPECT_THROW((void)text_request_of(message), Error);
}

}  // namespace
}  // namespace portfire::rpc
