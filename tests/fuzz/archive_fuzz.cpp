#include "archive/archive.h"

#include <string_view>

#include "fuzz.h"

namespace {

/// Runs a reader, which may refuse the package and nothing else.
template <typename Read>
void read_package(Read read) {
  using portfire::ErrorCode;
  try {
    read();
  } catch (const portfire::Error& error) {
    const bool blames_the_package =
        error.code() == ErrorCode::kInvalidPackage || error.code() == ErrorCode::kUntrustedPackage;
    portfire::require(blames_the_package && std::string_view(error.what()).find('\n') == std::string_view::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = portfire::bytes_of(data, size);
  read_package([&] {
    const auto archive = portfire::Archive::from_bytes({bytes.begin(), bytes.end()}, "fuzz");
    for (const portfire::ArchiveEntry& entry : archive.entries()) {
      read_package([&] { portfire::require(archive.read(entry.name).size() == entry.bytes); });
    }
    portfire::refuse_code_at_load(archive);
  });
  return 0;
}
