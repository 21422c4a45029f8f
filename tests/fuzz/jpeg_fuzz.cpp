#include <portfire/codecs.h>

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3 || data[0] != 0xff || data[1] != 0xd8) return -1;
  portfire::refuse_or_read([&] { portfire::decode_image(portfire::bytes_of(data, size), "fuzz", 1 << 18); });
  return 0;
}
