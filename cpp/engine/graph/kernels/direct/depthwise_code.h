// Included by code.h, and compiled for as many vectors as it.

/// V vectors of channels of one pixel.
template <int V>
void taps(const Depthwise& p, const float* image, std::int64_t above, std::int64_t before, std::int64_t c, float* y) {
  Vector sums[V];
  for (int v = 0; v < V; ++v) sums[v] = load(p.bias + c + v * kWidth);
  for (std::int64_t i = 0; i < p.kernel_height; ++i) {
    const std::int64_t h = above + i * p.dilation_height;
    if (h < 0 || h >= p.height) continue;
    for (std::int64_t j = 0; j < p.kernel_width; ++j) {
      const std::int64_t w = before + j * p.dilation_width;
      if (w < 0 || w >= p.width) continue;
      const float* x = image + (h * p.width + w) * p.channels + c;
      const float* weight = p.weight + (i * p.kernel_width + j) * p.channels + c;
      for (int v = 0; v < V; ++v) sums[v] += load(x + v * kWidth) * load(weight + v * kWidth);
    }
  }
  for (int v = 0; v < V; ++v) store(y + c + v * kWidth, within(sums[v], all(p.low), all(p.high)));
}

/// P pixels side by side, S steps of the input apart, of a kernel of 3 x 3 that lies within the picture: `x` is where it begins for
/// the first. Weights stay in registers, and what two pixels look at is loaded once.
template <int P, int S>
__attribute__((noinline)) void taps3x3(const Depthwise& p, const float* x, float* y) {
  const Vector low = all(p.low);
  const Vector high = all(p.high);
  for (std::int64_t begin = 0; begin < p.channels; begin += kWidth) {
    const std::int64_t c = least(begin, p.channels - kWidth);  // some twice
    Vector weight[9];
    for (int k = 0; k < 9; ++k) weight[k] = load(p.weight + k * p.channels + c);
    Vector sums[P];
    for (int q = 0; q < P; ++q) sums[q] = load(p.bias + c);
#pragma GCC unroll 3
    for (int i = 0; i < 3; ++i) {
#pragma GCC unroll 16
      for (int j = 0; j < (P - 1) * S + 3; ++j) {
        const Vector v = load(x + (i * p.width + j) * p.channels + c);
#pragma GCC unroll 8
        for (int q = 0; q < P; ++q) {
          if (j - q * S >= 0 && j - q * S < 3) sums[q] += v * weight[i * 3 + j - q * S];
        }
      }
    }
    for (int q = 0; q < P; ++q) store(y + q * p.channels + c, within(sums[q], low, high));
  }
}

void depthwise(const Depthwise& p, std::int64_t first, std::int64_t last) {
  constexpr int kPixels = 4;
  const bool is_3x3 = p.kernel_height == 3 && p.kernel_width == 3 && p.dilation_height == 1 && p.dilation_width == 1 && p.stride_width <= 2;
  for (std::int64_t line = first; line < last; ++line) {
    const float* image = p.x + line / p.out_height * p.height * p.width * p.channels;
    const std::int64_t above = line % p.out_height * p.stride_height - p.pad_height;
    const bool is_within = is_3x3 && above >= 0 && above + 3 <= p.height;
    float* y = p.y + line * p.out_width * p.channels;
    for (std::int64_t out = 0; out < p.out_width;) {
      const std::int64_t before = out * p.stride_width - p.pad_width;
      if (is_within && before >= 0 && out + kPixels <= p.out_width && before + (kPixels - 1) * p.stride_width + 3 <= p.width) {
        const float* x = image + (above * p.width + before) * p.channels;
        (p.stride_width == 1 ? taps3x3<kPixels, 1> : taps3x3<kPixels, 2>)(p, x, y);
        out += kPixels;
        y += kPixels * p.channels;
        continue;
      }
      std::int64_t c = 0;
      for (; c + 8 * kWidth <= p.channels; c += 8 * kWidth) taps<8>(p, image, above, before, c, y);
      for (; c + 4 * kWidth <= p.channels; c += 4 * kWidth) taps<4>(p, image, above, before, c, y);
      for (; c + kWidth <= p.channels; c += kWidth) taps<1>(p, image, above, before, c, y);
      if (c < p.channels) taps<1>(p, image, above, before, p.channels - kWidth, y);  // some twice
      ++out;
      y += p.channels;
    }
  }
}
