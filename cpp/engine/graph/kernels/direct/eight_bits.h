#pragma once

#include <cstdint>

#include "engine/graph/kernels/direct/direct.h"

namespace portfire::graph::direct {

/// Rows of float32 as bytes (asymmetric quantisation, as in Jacob et al., "Quantization and Training of Neural Networks for
/// Efficient Integer-Arithmetic-Only Inference", 2018): value k of row r is about worth[r] * (byte - zero[r]).
struct Bytes {
  std::uint8_t* values = nullptr;  ///< [rows, words of the inputs, 4]; anything behind the last
  float* worth = nullptr;          ///< [rows]; a NaN where the row has one, or an infinity
  std::int32_t* zero = nullptr;    ///< [rows], 0 to 255
};

/// What `round_row` gives, of a row whose least value and 0 are `low`, and largest and 0 `high`:
/// worth = max(high / 255 - low / 255, the least normal number), zero = round(-low / worth), and byte k =
/// min(max(round(x[k] / worth) + zero, 0), 255); divisions by `worth` are products with 1 / worth, halves go to even numbers.
inline constexpr float kLargestByte = 255;

/// A row has no more, or a sum might not fit into 32 bits: 255 * 127 for each.
inline constexpr std::int64_t kMostInputsOfBytes = 66'000;

/// Bytes times a weight of 8 bits, summed in integers. `linear.kept` is kInt8; its x is not looked at. A row's result is the same
/// bits whatever other rows there are, and a row with an infinity or a NaN becomes NaN.
struct LinearOfBytes {
  Linear linear;
  Bytes x;
  const std::int32_t* sums = nullptr;  ///< [panels * width]: of each output's weight
};

/// Kernels for processors that multiply bytes.
struct EightBits {
  std::int64_t width;  ///< as Kernels has it
  void (*round_rows)(const float* x, std::int64_t inputs, std::int64_t first_row, std::int64_t last_row, const Bytes& to);
  void (*linear)(const LinearOfBytes& linear, std::int64_t first_row, std::int64_t last_row, std::int64_t first_panel, std::int64_t last_panel);
};

/// Those for this processor, which go with `kernels()`; null where it has no such instructions.
const EightBits* eight_bits();

#if defined(__x86_64__)
extern const EightBits kVnni;  ///< AVX-512 with VNNI
#endif

}  // namespace portfire::graph::direct
