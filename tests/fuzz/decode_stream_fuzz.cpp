#include "tokenizers.h"

// The first byte chooses a tokenizer, the others are ids.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto& known = portfire::known_tokenizers();
  const portfire::Tokenizer& tokenizer = known[data[0] % known.size()].tokenizer;
  portfire::require_stream(tokenizer, portfire::ids_of(data + 1, size - 1, tokenizer.vocabulary_size()), (data[0] & 0x80) != 0);
  return 0;
}
