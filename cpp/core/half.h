#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace portfire {

/// IEEE 754 binary16 to binary32.
inline float float_from_half(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fu;
  const std::uint32_t fraction = half & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float subnormal = static_cast<float>(fraction) * 0x1p-24f;
  return sign != 0 ? -subnormal : subnormal;
}

/// bfloat16 is the upper half of a binary32.
inline float float_from_bfloat16(std::uint16_t value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16);
}

/// The nearest number of a 16-bit format, ties to even, infinity past its range. `kDigits` of fraction are
/// stored; `kLowest` and `kHighest` are the exponents of its normal numbers.
template <int kDigits, int kLowest, int kHighest>
std::uint16_t nearest_16_bits(double value) {
  const std::uint32_t sign = std::signbit(value) ? 0x8000u : 0;
  constexpr std::uint32_t kInfinity = static_cast<std::uint32_t>(kHighest - kLowest + 2) << kDigits;
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | kInfinity | (1u << (kDigits - 1)));
  const int exponent = value == 0 ? kLowest : std::max(std::ilogb(value), kLowest);
  if (exponent > kHighest) return static_cast<std::uint16_t>(sign | kInfinity);
  const auto units = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(std::fabs(value), kDigits - exponent)));
  // The leading 1 of a normal number's units counts its exponent up by one, as a carry does.
  return static_cast<std::uint16_t>(sign | ((static_cast<std::uint32_t>(exponent - kLowest) << kDigits) + units));
}

inline std::uint16_t half_from_double(double value) { return nearest_16_bits<10, -14, 15>(value); }
inline std::uint16_t bfloat16_from_double(double value) { return nearest_16_bits<7, -126, 127>(value); }

}  // namespace portfire
