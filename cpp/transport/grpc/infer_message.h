#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "inference.pb.h"
#include "transport/wire/infer.h"

/// The protocol's messages and what they mean. Nothing here keeps a reference to a message.
namespace portfire::rpc {

/// Takes the inputs' raw contents out of `message`, without a copy. Throws kInvalidInput and kInvalidArgument on what
/// contradicts itself, kUnsupported on what is not served: shared memory, sequences.
wire::InferRequest infer_request_of(inference::ModelInferRequest& message);

/// True where the outputs are wanted as typed contents: where the inputs came so.
bool wants_typed(const inference::ModelInferRequest& message);

/// `typed` holds as far as the protocol has typed contents for all outputs.
void add_outputs(const std::vector<wire::InferOutput>& outputs, bool typed, inference::ModelInferResponse& message);

/// What a model of text-generation is asked to go on from, and how: the input `text_input`, and the other inputs and parameters
/// under the names that Triton's `generate` has.
struct TextRequest {
  std::string prompt;
  GenerateOptions options;
};
inline constexpr const char* kTextInput = "text_input";
inline constexpr const char* kTextOutput = "text_output";

/// Nothing where there is no input `text_input`. Throws as `infer_request_of`.
std::optional<TextRequest> text_request_of(const inference::ModelInferRequest& message);

}  // namespace portfire::rpc
