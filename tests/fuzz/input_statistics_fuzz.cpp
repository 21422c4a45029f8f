#include <string_view>

#include "archive/input_statistics.h"
#include "fuzz.h"

// Of a text classifier with one input beside, so that every measure can be read.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const portfire::Manifest kManifest = [] {
    portfire::TensorSpec x;
    x.name = "x";
    x.shape = {{.size = -1, .symbol = "N"}, {.size = 3, .symbol = {}}};
    portfire::Manifest made;
    made.raw_input.kind = "text";
    made.methods = {{"forward", {x}, {x}}};
    made.labels = {"a", "b", "c"};
    return made;
  }();
  try {
    const portfire::InputStatistics read = portfire::parse_input_statistics({reinterpret_cast<const char*>(data), size}, "fuzz", kManifest);
    portfire::require(!read.quantities.empty());
    for (const portfire::Quantity& one : read.quantities) {
      portfire::require(!one.name().empty() && one.place == 0 && one.channel < 3);
      portfire::require(one.counts.size() >= 2 && one.counts.size() <= 64);
      portfire::require(one.measure == portfire::Measure::kAnswer ? one.edges.empty() : one.edges.size() + 1 == one.counts.size());
    }
  } catch (const portfire::Error& error) {
    portfire::require(error.code() == portfire::ErrorCode::kInvalidPackage && std::string_view(error.what()).find('\n') == std::string_view::npos);
  }
  return 0;
}
