#include "apps/run_chat.h"

#include <iostream>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include <portfire/chat.h>

#include "apps/print_answer.h"
#include "apps/terminal.h"
#include "apps/text_source.h"
#include "core/text.h"

namespace portfire::apps {
namespace {

constexpr const char* kForm = "a list of messages is needed, as in [{\"role\": \"user\", \"content\": \"Hello!\"}]";

std::vector<ChatMessage> messages_in(const Input& input) {
  const std::vector<std::byte> bytes = input.read();
  const char* text = reinterpret_cast<const char*>(bytes.data());
  const auto list = nlohmann::json::parse(text, text + bytes.size(), nullptr, false);
  const auto refuse = [&](const std::string& problem) { throw Error(ErrorCode::kInvalidInput, cat(input.name(), ": ", problem)); };
  if (list.is_discarded()) refuse(cat("not JSON; ", kForm));
  if (!list.is_array() || list.empty()) refuse(cat(list.is_array() ? "no messages; " : "no list; ", kForm));
  std::vector<ChatMessage> messages;
  for (const auto& one : list) {
    const auto is_text = [&](const char* field) { return one.contains(field) && one[field].is_string(); };
    if (!one.is_object() || one.size() != 2 || !is_text("role") || !is_text("content")) {
      refuse(cat("messages[", messages.size(), "] is not an object of a role and a content, both text; ", kForm));
    }
    messages.push_back({one["role"].get<std::string>(), one["content"].get<std::string>()});
  }
  return messages;
}

}  // namespace

int run_chat(const Model& model, const Input& input, const ChatRun& run) {
  const std::vector<ChatMessage> messages = messages_in(input);
  const GenerateOptions& generate = run.options.generate;
  catch_interrupt();
  if (!run.json && generate.num_sequences == 1 && generate.num_beams == 1) {
    TextStream answer = chat_stream(model, messages, generate);
    return print_text(answer);
  }
  RunOptions options = run.options;
  options.cancelled = interrupted;
  const Generation answers = chat(model, messages, options);
  if (interrupted()) return info_of(ErrorCode::kCancelled).exit_status;
  print_answer(input.name(), Answer{answers}, run.json);
  flush_output();
  return 0;
}

int run_talk(const Model& model, const GenerateOptions& options) {
  if (chat_roles(model).empty()) (void)chat_stream(model, {}, options);  // throws what there is to say of such a model, before anything is typed
  const std::unique_ptr<TextSource> lines = texts_of({"-"}, static_cast<std::size_t>(model.info().manifest->raw_input.max_bytes));
  std::vector<ChatMessage> messages;
  catch_interrupt();
  for (;;) {
    std::cout << bold("> ");
    flush_output();
    const std::optional<TextRow> line = lines->next();
    if (!line) break;
    try {
      if (const auto* error = std::get_if<Error>(&line->text)) throw *error;
      std::vector<ChatMessage> asked = messages;
      asked.push_back({"user", std::get<std::string>(line->text)});
      TextStream answer = chat_stream(model, asked, options);
      if (const int status = print_text(answer); status != 0) return status;
      messages = std::move(asked);
      messages.push_back({"assistant", answer.result().text});
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalidInput) throw;
      print_error("", error, false);  // the message is not part of the conversation
    }
  }
  std::cout << '\n';
  flush_output();
  return interrupted() ? info_of(ErrorCode::kCancelled).exit_status : 0;
}

}  // namespace portfire::apps
