#include <algorithm>
#include <string>

#include "tokenizers.h"

// The input is a SentencePiece model, what it encodes is fixed, and its own pieces.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes = portfire::bytes_of(data, size);
  if (size > 0 && (data[0] == '{' || data[0] == ' ' || data[0] == '\t' || data[0] == '\r' || data[0] == '\n')) return 0;  // JSON
  portfire::refuse_or_use_file([&] {
    const auto tokenizer = portfire::Tokenizer::from_bytes(bytes, "fuzz");
    std::vector<std::int64_t> ids;
    std::vector<std::string> texts{"", " ", "a", "  Hello  world ", "caf\xC3\xA9 \xEF\xB7\xBA \xF0\x9F\x98\x80", std::string("a\0b\0\0", 5), std::string(3000, 'a'),
                                   std::string(300, ' ')};
    for (std::int64_t id = 0; id < std::min<std::int64_t>(tokenizer.vocabulary_size(), 400); ++id) {
      ids.push_back(id);
      if (id < 64 && !portfire::find_invalid_utf8(tokenizer.token(id))) texts.push_back(tokenizer.token(id));
    }
    for (const std::string& text : texts) {
      portfire::refuse_or_use_file([&] {  // not every model can encode every text
        const portfire::Encoding encoding = tokenizer.encode(text);
        for (const std::int64_t id : encoding.ids) portfire::require(id >= 0 && id < tokenizer.vocabulary_size());
        portfire::require_stream(tokenizer, encoding.ids, true);
      });
    }
    portfire::require_stream(tokenizer, ids, true);
    std::reverse(ids.begin(), ids.end());
    portfire::require_stream(tokenizer, ids, true);
  });
  return 0;
}
