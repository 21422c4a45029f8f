#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "transport/wire/infer.h"

namespace portfire::wire {

/// A request's body, with as many readable bytes after it as http::kBodyPadding: JSON in its first `json_bytes` bytes, then the
/// data of inputs that say "binary_data_size", one after another. Throws kInvalidInput on anything but a well-formed request; all
/// of the JSON is read, also what is not used.
InferRequest infer_request_of(std::string_view body, std::size_t json_bytes);

/// A reply's body; `json_bytes` gets the length of its JSON, which is all of it where no output is binary.
std::string infer_reply(const InferRequest& request, const std::string& model, std::int64_t version, const std::vector<InferOutput>& outputs,
                        std::size_t& json_bytes);

/// Text as JSON has it, with its quotes; what is not UTF-8 becomes U+FFFD.
std::string json_string(std::string_view text);

}  // namespace portfire::wire
