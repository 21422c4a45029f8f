#include "transport/routes/completion_request.h"

#include <algorithm>
#include <limits>
#include <random>
#include <utility>

#include <nlohmann/json.hpp>

#include <portfire/error.h>

#include "core/text.h"
#include "transport/routes/text_request.h"

namespace portfire::routes {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostTexts = 128;
constexpr std::int64_t kMostLikely = 20;

std::uint64_t any_seed() {
  std::random_device source;
  return source();
}

/// What both kinds have, but for the number of tokens; `prompts` is how many there are.
void read_common(Fields& fields, std::size_t prompts, TextRequest& request) {
  request.choices = fields.whole("n", 1);
  if (request.choices < 1 || request.choices > kMostTexts / static_cast<std::int64_t>(std::min<std::size_t>(prompts, kMostTexts + 1))) {
    throw Error(ErrorCode::kInvalidArgument, cat("n is ", request.choices, " for ", prompts, " prompts; 1 to ", kMostTexts, " texts in all"));
  }
  GenerateOptions& options = request.options;
  options.temperature = fields.number("temperature", 1);
  options.top_p = fields.number("top_p", 1);
  options.top_k = fields.whole("top_k", 0);
  options.min_p = fields.number("min_p", 0);
  options.frequency_penalty = fields.number("frequency_penalty", 0);
  options.repetition_penalty = fields.number("repetition_penalty", 1);
  options.seed = fields.has("seed") ? static_cast<std::uint64_t>(fields.whole("seed", 0)) : any_seed();
  options.stop = fields.texts("stop");
  request.stream = fields.truth("stream", false);
  Fields stream_options = fields.object("stream_options");
  request.includes_usage = stream_options.truth("include_usage", false);
  stream_options.ignore({"include_obfuscation"});
  stream_options.refuse_others();
  fields.refuse("presence_penalty", "is not supported; frequency_penalty and repetition_penalty are");
  fields.refuse("logit_bias", "is not supported");
  fields.ignore({"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"});
}

std::optional<std::int64_t> likeliest_in(Fields& fields, const char* name) {
  if (!fields.has(name)) return std::nullopt;
  const std::int64_t count = fields.whole(name, 0);
  if (count < 0 || count > kMostLikely) throw Error(ErrorCode::kInvalidArgument, cat(name, " is ", count, "; 0 to ", kMostLikely));
  return count;
}

Input token_prompt(const std::vector<std::int64_t>& ids) { return Input::tensor(Tensor::copy_of(ids, {static_cast<std::int64_t>(ids.size())}), "prompt"); }

/// A text or token ids, or a list of either.
std::vector<Input> prompts_in(Fields& fields) {
  constexpr const char* kWanted = "text, a list of token ids, or a list of either is needed";
  std::vector<Input> prompts;
  if (fields.is_text("prompt")) return {Input::text(fields.text("prompt"), "prompt")};
  const json* all = fields.has("prompt") ? fields.list("prompt") : nullptr;
  if (all == nullptr || all->empty()) fields.wrong("prompt", kWanted);
  const auto ids_of = [&](const json& list) {
    std::vector<std::int64_t> ids;
    for (const json& id : list) {
      if (!id.is_number_integer() || (id.is_number_unsigned() && id.get<std::uint64_t>() > std::numeric_limits<std::int32_t>::max())) fields.wrong("prompt", kWanted);
      ids.push_back(id.get<std::int64_t>());
    }
    return ids;
  };
  if (all->front().is_number()) return {token_prompt(ids_of(*all))};
  const bool of_texts = all->front().is_string();
  for (const json& one : *all) {
    if (one.is_string() != of_texts || !(of_texts || one.is_array())) fields.wrong("prompt", kWanted);
    prompts.push_back(of_texts ? Input::text(one.get<std::string>(), "prompt") : token_prompt(ids_of(one)));
  }
  return prompts;
}

/// What a message says: text, or parts that are text, which become lines.
std::string content_in(Fields& message) {
  if (message.is_text("content")) return message.text("content");
  const json* parts = message.has("content") ? message.list("content") : nullptr;
  if (parts == nullptr || parts->empty()) message.wrong("content", "text or a list of parts is needed");
  std::string content;
  for (std::size_t k = 0; k < parts->size(); ++k) {
    if (!(*parts)[k].is_object()) message.wrong("content", "text or a list of parts is needed");
    Fields part((*parts)[k], cat(message.where(), "content[", k, "]."));
    const std::string type = part.text("type");
    if (type != "text") throw Error(ErrorCode::kUnsupported, cat(message.where(), "content[", k, "].type is ", quoted(type), "; models here read text alone"));
    if (k > 0) content += '\n';
    content += part.text("text");
  }
  return content;
}

ChatMessage message_in(const json& object, std::size_t number) {
  Fields message(object, cat("messages[", number, "]."));
  std::string role = message.text("role");
  if (role == "tool" || role == "function") throw Error(ErrorCode::kUnsupported, cat("messages[", number, "].role is ", role, "; tools are not supported"));
  if (role == "developer") role = "system";
  for (const char* name : {"tool_calls", "function_call", "audio", "refusal"}) message.refuse(name, "is not supported");
  message.refuse("name", "is not supported: the models' templates have no place for it");
  message.ignore({"annotations"});
  std::string content = content_in(message);
  message.refuse_others();
  return {.role = std::move(role), .content = std::move(content)};
}

void refuse_what_chat_cannot(Fields& fields) {
  for (const char* name : {"tools", "functions", "function_call"}) fields.refuse(name, "is not supported: models here answer with text");
  if (fields.has("tool_choice") && !(fields.is_text("tool_choice") && fields.text("tool_choice") != "required")) fields.refuse("tool_choice", "is not supported: there are no tools");
  fields.ignore({"parallel_tool_calls"});
  Fields format = fields.object("response_format");
  if (const std::string type = format.text("type", "text"); type != "text") throw Error(ErrorCode::kUnsupported, cat("response_format.type is ", quoted(type), "; models here answer with text"));
  for (const std::string& modality : fields.texts("modalities")) {
    if (modality != "text") throw Error(ErrorCode::kUnsupported, cat("modalities has ", quoted(modality), "; models here answer with text"));
  }
}

}  // namespace

CompletionRequest completion_request_of(std::string_view body) {
  Fields fields(body);
  CompletionRequest request;
  request.model = fields.text("model");
  request.prompts = prompts_in(fields);
  read_common(fields, request.prompts.size(), request);
  request.options.max_new_tokens = fields.whole("max_tokens", 16);
  request.log_probabilities = likeliest_in(fields, "logprobs");
  request.echo = fields.truth("echo", false);
  if (request.echo && request.log_probabilities) throw Error(ErrorCode::kUnsupported, "logprobs: is not supported with echo, for there are none of a prompt's tokens");
  fields.refuse("suffix", "is not supported: models here write on from the prompt");
  if (fields.whole("best_of", request.choices) != request.choices) throw Error(ErrorCode::kUnsupported, "best_of: is not supported beyond n; num_beams of generate searches");
  fields.refuse_others();
  return request;
}

ChatRequest chat_request_of(std::string_view body) {
  Fields fields(body);
  ChatRequest request;
  request.model = fields.text("model");
  const json* messages = fields.list("messages");
  if (messages == nullptr || messages->empty()) throw Error(ErrorCode::kInvalidInput, "messages is missing or empty; a list of messages is needed, of which the last is a user's");
  for (const json& message : *messages) {
    if (!message.is_object()) throw Error(ErrorCode::kInvalidInput, cat("messages[", request.messages.size(), "] is no object; a role and a content are needed"));
    request.messages.push_back(message_in(message, request.messages.size()));
  }
  read_common(fields, 1, request);
  // Without a number, as long as the context allows.
  request.options.max_new_tokens = fields.whole("max_completion_tokens", fields.whole("max_tokens", std::numeric_limits<std::int64_t>::max()));
  const std::optional<std::int64_t> likeliest = likeliest_in(fields, "top_logprobs");
  const bool log_probabilities = fields.truth("logprobs", false);
  if (likeliest && !log_probabilities) throw Error(ErrorCode::kInvalidArgument, "top_logprobs is given and logprobs is not true; set both or neither");
  if (log_probabilities) request.log_probabilities = likeliest.value_or(0);
  refuse_what_chat_cannot(fields);
  fields.refuse_others();
  return request;
}

}  // namespace portfire::routes
