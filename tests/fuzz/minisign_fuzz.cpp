#include "archive/minisign.h"

#include <string_view>

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace portfire;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const minisign::PublicKey kKey = minisign::parse_public_key("RWQ1cC43mXpp27S5UgnQf6OSfWHuDcVff9sYadgq5bqlWViPOkNe6wdD", "key");
  require(!minisign::why_not_signed(bytes_of(data, size), text, {kKey}).empty());  // nobody signed this
  try {
    (void)minisign::parse_public_key(text, "key");
  } catch (const Error& error) {
    require(error.code() == ErrorCode::kInvalidArgument);
  }
  return 0;
}
