#include "archive/exported_program.h"

#include <string>
#include <string_view>

#include "../cpp/archive/raw_zip.h"
#include "fuzz.h"

// Up to the first NUL the input is models/model.json, from there on the table of the weights.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using portfire::ErrorCode;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::size_t end = text.find('\0');
  portfire::test::RawZip zip;
  zip.entries.push_back(portfire::test::record("m/models/model.json", text.substr(0, end)));
  if (end != std::string::npos) {
    zip.entries.push_back(portfire::test::record("m/data/weights/model_weights_config.json", text.substr(end + 1)));
  }
  zip.entries.push_back(portfire::test::record("m/data/weights/weight_0", std::string(64, 'x')));
  const auto archive = portfire::Archive::from_bytes(zip.bytes(), "fuzz");
  try {
    for (const auto& weight : portfire::exported::read_program(archive, "forward").weights) {
      portfire::require(archive.find(weight.record) != nullptr && weight.shape.size() == weight.strides.size());
    }
  } catch (const portfire::Error& error) {
    const bool blames_the_package = error.code() == ErrorCode::kInvalidPackage || error.code() == ErrorCode::kVersionMismatch ||
                                    error.code() == ErrorCode::kUntrustedPackage || error.code() == ErrorCode::kUnsupported;
    portfire::require(blames_the_package && std::string_view(error.what()).find('\n') == std::string_view::npos);
  }
  return 0;
}
