#include <string>

#include "fuzz.h"
#include "transport/wire/multipart.h"

// The first line is a Content-Type, the rest a body; where that line has no boundary, the body's is "b".
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string all(reinterpret_cast<const char*>(data), size);
  const std::size_t line = all.find('\n');
  const std::string_view body = line == std::string::npos ? std::string_view() : std::string_view(all).substr(line + 1);
  portfire::refuse_or_read([&] {
    const std::string boundary = portfire::wire::form_boundary(std::string_view(all).substr(0, line)).value_or("b");
    portfire::require(!boundary.empty() && boundary.size() <= 70);
    const auto parts = portfire::wire::form_parts(body, boundary);
    portfire::require(!parts.empty() && parts.size() <= portfire::wire::kMostParts);
    std::size_t bytes = 0;
    std::string again;
    for (const auto& part : parts) {
      bytes += part.name.size() + part.file_name.size() + part.content.size();
      portfire::require(part.content.find("\r\n--" + boundary) == std::string_view::npos);
      again += "--" + boundary + "\r\nContent-Disposition: form-data; name=x\r\n\r\n" + std::string(part.content) + "\r\n";
    }
    portfire::require(bytes <= body.size());
    // What was read, written anew, reads as the same.
    again += "--" + boundary + "--";
    const auto read = portfire::wire::form_parts(again, boundary);
    portfire::require(read.size() == parts.size());
    for (std::size_t k = 0; k < read.size(); ++k) portfire::require(read[k].content == parts[k].content);
  });
  return 0;
}
