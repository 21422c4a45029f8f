#include <portfire/codecs.h>

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  portfire::refuse_or_read([&] {
    const auto tensors = portfire::decode_safetensors(portfire::bytes_of(data, size), "fuzz");
    portfire::require(portfire::decode_safetensors(portfire::encode_safetensors(tensors)) == tensors);
  });
  return 0;
}
