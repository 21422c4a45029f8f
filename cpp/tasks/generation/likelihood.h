#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace portfire {

/// e^x for x <= 0, at least e^-87, to 2e-7 of it; NaN for NaN. A loop of it is one that compilers vectorise, which they do
/// not with std::exp: over a vocabulary of 50,000 that is a tenth of the time of a fast model. The polynomial is that of
/// Cephes' expf (Moshier 1989).
inline float exp_below(float x) {
  x = x < -87.0F ? -87.0F : x;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: what is added to it has no fraction left
  const float power = x * 1.44269504F + kRound - kRound;
  const float rest = x - power * 0.693359375F + power * 2.12194440e-4F;
  float sum = 1.9875691500e-4F;
  sum = sum * rest + 1.3981999507e-3F;
  sum = sum * rest + 8.3334519073e-3F;
  sum = sum * rest + 4.1665795894e-2F;
  sum = sum * rest + 1.6666665459e-1F;
  sum = sum * rest + 5.0000001201e-1F;
  const auto exponent = static_cast<std::int32_t>(power) + 127;
  return (sum * rest * rest + rest + 1) * std::bit_cast<float>(static_cast<std::uint32_t>(exponent) << 23U);
}

/// A token that could have come. Regular.
struct LikelyToken {
  std::int64_t id = 0;
  float log_probability = 0;  ///< by softmax of the bare logits
  bool operator==(const LikelyToken&) const = default;
};

/// The first of the greatest.
std::size_t likeliest(std::span<const float> logits);
/// log(sum(exp(logits))). Throws kInvalidPackage where none is a number above -inf, or one is NaN or inf.
double log_sum(std::span<const float> logits);
/// log(softmax(logits)). Throws as `log_sum`.
std::vector<float> log_softmax(std::span<const float> logits);
/// The `count` likeliest, or all where there are fewer; the likeliest first, of equals the lower id. Throws as `log_sum`.
std::vector<LikelyToken> most_likely(std::span<const float> logits, std::int64_t count);

}  // namespace portfire
