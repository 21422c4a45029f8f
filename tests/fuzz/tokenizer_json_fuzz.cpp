#include <string>

#include "tokenizers.h"

// Up to the first NUL the input is a tokenizer.json, from there on a text for it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::string json = input.substr(0, input.find('\0'));
  const std::string text = json.size() < size ? input.substr(json.size() + 1) : "It's a test, caf\xC3\xA9 \xF0\x9F\x98\x80.";
  portfire::refuse_or_use_file([&] {
    const auto tokenizer = portfire::Tokenizer::from_bytes(std::as_bytes(std::span(json)), "fuzz");
    for (std::int64_t id = 0; id < std::min<std::int64_t>(tokenizer.vocabulary_size(), 16); ++id) (void)tokenizer.token(id);
    const portfire::Encoding encoding = tokenizer.encode(text);
    if (json.find("HashedNGrams") == std::string::npos) (void)tokenizer.decode(encoding.ids);
    portfire::require_sound(tokenizer, text, encoding);
  });
  return 0;
}
