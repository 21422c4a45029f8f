#include <string>

#include "fuzz.h"
#include "transport/routes/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  portfire::refuse_or_read([&] {
    const portfire::routes::Target target = portfire::routes::target_of(text);
    const auto plain = [](const std::string& part) {
      for (const char c : part) portfire::require(static_cast<unsigned char>(c) >= 32 && c != 127);
    };
    std::size_t bytes = 0;
    for (const std::string& segment : target.path) {
      plain(segment);
      bytes += segment.size();
    }
    for (const auto& [name, value] : target.query) {
      plain(name);
      plain(value);
      bytes += name.size() + value.size();
    }
    portfire::require(bytes <= size);
  });
  return 0;
}
