#include <string>

#include "fuzz.h"
#include "transport/routes/completion_request.h"
#include "transport/routes/text_request.h"

namespace {

/// Requests may also be refused for what they ask.
template <typename Read>
void refuse_or_ask(Read read) {
  portfire::refuse_or_read([&] {
    try {
      read();
    } catch (const portfire::Error& error) {
      if (error.code() != portfire::ErrorCode::kInvalidArgument) throw;
    }
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string body(reinterpret_cast<const char*>(data), size);
  refuse_or_ask([&] {
    const portfire::routes::CompletionRequest request = portfire::routes::completion_request_of(body);
    portfire::require(!request.prompts.empty() && request.prompts.size() * static_cast<std::size_t>(request.choices) <= 128);
  });
  refuse_or_ask([&] { portfire::require(!portfire::routes::chat_request_of(body).messages.empty()); });
  refuse_or_ask([&] {
    portfire::routes::Fields fields(body);
    portfire::routes::Fields parameters = fields.object("parameters");
    (void)portfire::routes::generate_options_of(parameters);
  });
  return 0;
}
