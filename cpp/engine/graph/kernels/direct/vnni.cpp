// Compiled for AVX-512 with VNNI; as for code.h, no header may be included whose code others share.
#if defined(__x86_64__)
#include <immintrin.h>

#include "engine/graph/kernels/direct/eight_bits.h"

namespace portfire::graph::direct {
namespace {

constexpr std::int64_t kWidth = 16;

std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
std::int64_t words_of(std::int64_t inputs) { return (inputs + 3) / 4; }
/// The first `count` of a vector's values.
__mmask16 first(std::int64_t count) { return static_cast<__mmask16>(count >= kWidth ? 0xffff : (1 << count) - 1); }

void round_row(const float* x, std::int64_t inputs, std::uint8_t* to, float& worth, std::int32_t& zero) {
  __m512 low = _mm512_setzero_ps(), high = low, strange = low;  // which stays zero unless a value is no number
  for (std::int64_t k = 0; k < inputs; k += kWidth) {
    const __m512 values = _mm512_maskz_loadu_ps(first(inputs - k), x + k);
    low = _mm512_min_ps(low, values);
    high = _mm512_max_ps(high, values);
    strange = _mm512_fmadd_ps(values, _mm512_setzero_ps(), strange);
  }
  const bool is_strange = _mm512_cmp_ps_mask(strange, _mm512_setzero_ps(), _CMP_NEQ_UQ) != 0;
  constexpr float kLeastWorth = 1.17549435e-38F;
  const float least_value = _mm512_reduce_min_ps(low);
  const float wanted = _mm512_reduce_max_ps(high) / kLargestByte - least_value / kLargestByte;
  const float taken = is_strange ? 1.0F : wanted > kLeastWorth ? wanted : kLeastWorth;
  const __m512 inverse = _mm512_set1_ps(1 / taken);
  zero = is_strange ? 0 : _mm_cvtss_si32(_mm_set_ss(-least_value * (1 / taken)));
  worth = is_strange ? __builtin_nanf("") : taken;
  const __m512i from_zero = _mm512_set1_epi32(zero);
  const std::int64_t bytes = 4 * words_of(inputs);
  for (std::int64_t k = 0; k < bytes; k += kWidth) {
    const __m512 values = _mm512_maskz_loadu_ps(first(inputs - k), x + k);
    const __m512i rounded = _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(values, inverse)), from_zero);
    _mm512_mask_cvtusepi32_storeu_epi8(to + k, first(bytes - k), _mm512_max_epi32(rounded, _mm512_setzero_si512()));
  }
}

void round_rows(const float* x, std::int64_t inputs, std::int64_t first_row, std::int64_t last_row, const Bytes& to) {
  for (std::int64_t row = first_row; row < last_row; ++row) {
    round_row(x + row * inputs, inputs, to.values + row * 4 * words_of(inputs), to.worth[row], to.zero[row]);
  }
}

/// One vector of y. The integers wrap around, and are what they were when the zero's part has been taken away.
__attribute__((noinline)) void finish(const LinearOfBytes& p, __m512i sum, std::int64_t row, std::int64_t panel) {
  const Linear& layer = p.linear;
  const std::int64_t column = panel * kWidth;
  const __mmask16 mask = first(layer.outputs - column);
  const __m512i whole = _mm512_sub_epi32(sum, _mm512_mullo_epi32(_mm512_set1_epi32(p.x.zero[row]), _mm512_loadu_si512(p.sums + column)));
  const __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(layer.scale + column), _mm512_set1_ps(1 << 24));
  __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(whole), scale);
  y = _mm512_fmadd_ps(y, _mm512_set1_ps(p.x.worth[row]), _mm512_loadu_ps(layer.bias + column));
  if (layer.other) y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(mask, layer.other + row * layer.outputs + column));
  y = _mm512_max_ps(_mm512_set1_ps(layer.low), y);  // the second, where one is a NaN
  y = _mm512_min_ps(_mm512_set1_ps(layer.high), y);
  _mm512_mask_storeu_ps(layer.y + row * layer.outputs + column, mask, y);
}

__m512i four(const std::uint8_t* x) {
  std::int32_t word;
  __builtin_memcpy(&word, x, sizeof word);
  return _mm512_set1_epi32(word);
}

/// Adds four products of bytes to each sum. Not by _mm512_dpbusd_epi32, around which GCC 12 copies every sum.
void add_products(__m512i& sum, __m512i values, __m512i weight) { asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(values), "v"(weight)); }

/// R rows times P panels, of which `weight` has the first; the sums are in registers.
template <int R, int P>
__attribute__((noinline)) void tile(const LinearOfBytes& p, const std::int32_t* weight, std::int64_t row, std::int64_t panel) {
  constexpr std::int64_t kAhead = 1024 / sizeof(std::int32_t);  // the weight comes from far, once
  const std::int64_t words = words_of(p.linear.inputs), step = words * kWidth;
  const std::uint8_t* x = p.x.values + row * 4 * words;
  __m512i sums[R][P];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < P; ++j) sums[r][j] = _mm512_setzero_si512();
  }
  for (std::int64_t k = 0; k < words; ++k, x += 4, weight += kWidth) {
    __m512i w[P];
#pragma GCC unroll 8
    for (int j = 0; j < P; ++j) {
      __builtin_prefetch(weight + j * step + kAhead);
      w[j] = _mm512_loadu_si512(weight + j * step);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const __m512i values = four(x + r * 4 * words);
#pragma GCC unroll 8
      for (int j = 0; j < P; ++j) add_products(sums[r][j], values, w[j]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < P; ++j) finish(p, sums[r][j], row + r, panel + j);
  }
}

constexpr int kMostSums = 24;  // vectors that the registers hold, beside the weight's and a row's
constexpr int kMostRows = 8;   // that meet a weight at once
constexpr int panels_of(int rows) { return kMostSums / rows < 8 ? kMostSums / rows : 8; }

template <int R, int P>
void panels(const LinearOfBytes& p, std::int64_t row, std::int64_t panel, std::int64_t last) {
  const std::int64_t step = words_of(p.linear.inputs) * kWidth;
  for (; panel + P <= last; panel += P) tile<R, P>(p, p.linear.weight + panel * step, row, panel);
  if constexpr (P > 1) {
    if (panel < last) panels<R, P / 2>(p, row, panel, last);
  }
}

template <int R>
void rows(const LinearOfBytes& p, std::int64_t row, std::int64_t last_row, std::int64_t panel, std::int64_t last) {
  for (; row + R <= last_row; row += R) panels<R, panels_of(R)>(p, row, panel, last);
  if constexpr (R > 1) {
    if (row < last_row) rows<R - 1>(p, row, last_row, panel, last);
  }
}

void linear(const LinearOfBytes& p, std::int64_t first_row, std::int64_t last_row, std::int64_t first_panel, std::int64_t last_panel) {
  if (last_row - first_row <= kMostRows) return rows<kMostRows>(p, first_row, last_row, first_panel, last_panel);
  constexpr std::int64_t kGroup = panels_of(kMostRows);
  for (std::int64_t panel = first_panel; panel < last_panel; panel += kGroup) {
    rows<kMostRows>(p, first_row, last_row, panel, least(panel + kGroup, last_panel));
  }
}

}  // namespace

const EightBits kVnni{.width = kWidth, .round_rows = round_rows, .linear = linear};

}  // namespace portfire::graph::direct
#endif
