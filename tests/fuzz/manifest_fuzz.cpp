#include <string_view>

#include "archive/manifest_json.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using portfire::ErrorCode;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const portfire::Manifest manifest = portfire::parse_manifest(text, "fuzz");
    portfire::require(portfire::parse_manifest(portfire::to_json(manifest), "again") == manifest);
  } catch (const portfire::Error& error) {
    const bool blames_the_package =
        error.code() == ErrorCode::kInvalidPackage || error.code() == ErrorCode::kVersionMismatch;
    portfire::require(blames_the_package && std::string_view(error.what()).find('\n') == std::string_view::npos);
  }
  return 0;
}
