#include <portfire/chat.h>

#include "api/model_impl.h"
#include "archive/chat_template.h"
#include "tasks/generation/chat.h"

namespace portfire {

std::string chat_text(std::string_view chat_json, std::span<const ChatMessage> messages) { return chat_text(parse_chat(chat_json, "chat"), messages).text; }

std::vector<std::string> chat_roles(const Model& model) {
  const auto* task = dynamic_cast<const TextGeneration*>(ModelInternals::of(model).task.get());
  return task == nullptr ? std::vector<std::string>{} : task->chat_roles();
}

TextStream chat_stream(const Model& model, std::span<const ChatMessage> messages, const GenerateOptions& options) {
  GenerateOptions own = options;
  const Input prompt = ModelInternals::of(model).text_generation().chat(messages, own);
  return model.stream(prompt, own);
}

Generation chat(const Model& model, std::span<const ChatMessage> messages, const RunOptions& options) {
  RunOptions own = options;
  const Input prompt = ModelInternals::of(model).text_generation().chat(messages, own.generate);
  return model.run(prompt, own).generation();
}

}  // namespace portfire
