#include <portfire/codecs.h>

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  portfire::refuse_or_read([&] {
    const auto tensor = portfire::decode_npy(portfire::bytes_of(data, size), "fuzz");
    portfire::require(portfire::decode_npy(portfire::encode_npy(tensor)) == tensor);
  });
  return 0;
}
