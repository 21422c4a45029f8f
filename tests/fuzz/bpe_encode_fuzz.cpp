#include <string>

#include "tokenizers.h"

// The first byte chooses a tokenizer, the rest is a text.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto& known = portfire::known_tokenizers();
  const auto& [name, keeps_all, tokenizer] = known[data[0] % known.size()];
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  portfire::refuse_or_use_file([&, &tokenizer = tokenizer, keeps_all = keeps_all] {
    const portfire::Encoding encoding = tokenizer.encode(text);
    portfire::require_sound(tokenizer, text, encoding);
    if (keeps_all) portfire::require(tokenizer.decode(encoding.ids, false) == text);
    portfire::require_stream(tokenizer, encoding.ids, (data[0] & 0x80) != 0);
  });
  return 0;
}
