#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <portfire/chat.h>
#include <portfire/generate.h>
#include <portfire/input.h>

namespace portfire::routes {

/// What a client of OpenAI's API asks for, of either kind.
struct TextRequest {
  std::string model;
  GenerateOptions options;   ///< of the first text; the seeds of the others follow its own
  std::int64_t choices = 1;  ///< for each prompt
  bool stream = false;
  bool includes_usage = false;
  std::optional<std::int64_t> log_probabilities{};  ///< of each token, and of so many that could have come
};

struct CompletionRequest : TextRequest {
  std::vector<Input> prompts;  ///< texts, or token ids
  bool echo = false;
};

struct ChatRequest : TextRequest {
  std::vector<ChatMessage> messages;
};

/// Of the bodies of `/v1/completions` and `/v1/chat/completions`. Throw kInvalidInput, kInvalidArgument, kUnsupported.
CompletionRequest completion_request_of(std::string_view body);
ChatRequest chat_request_of(std::string_view body);

}  // namespace portfire::routes
