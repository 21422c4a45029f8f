#include <cstring>
#include <memory>

#include "fuzz.h"
#include "transport/wire/infer_json.h"

// The first two bytes say how much of the rest is JSON, as far as there is so much; the rest of the rest is binary data.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t told = data[0] | (std::size_t{data[1]} << 8);
  const std::size_t body = size - 2;
  const std::size_t json = told == 0xffff ? body : told;
  constexpr std::size_t kPadding = 64;  // and not a byte more, so that reading beyond it is seen
  const auto memory = std::make_unique<char[]>(body + kPadding);
  if (body > 0) std::memcpy(memory.get(), data + 2, body);
  portfire::refuse_or_read([&] {
    const portfire::wire::InferRequest request = portfire::wire::infer_request_of({memory.get(), body}, json);
    portfire::require(!request.inputs.empty());
    // What was read can be sent back, and is then read as the same.
    std::vector<portfire::wire::InferOutput> outputs;
    for (const portfire::NamedTensor& input : request.inputs) {
      portfire::require(input.tensor.nbytes() <= 8 * body);
      outputs.push_back({.name = input.name, .tensor = input.tensor, .texts = {}, .shape = input.tensor.shape(), .binary = true});
    }
    std::size_t json_bytes = 0;
    const std::string reply = portfire::wire::infer_reply(request, "fuzz", 1, outputs, json_bytes);
    portfire::require(json_bytes <= reply.size());
  });
  return 0;
}
