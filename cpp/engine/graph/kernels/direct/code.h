// Included by avx512.cpp, avx2.cpp and base.cpp, each compiled for other vectors: nothing here may be inline and shared,
// and no other header may be included, or code for one processor would end up in programs for another.
#include "engine/graph/kernels/direct/direct.h"

namespace portfire::graph::direct {
namespace {

constexpr int kWidth = PORTFIRE_VECTOR_BYTES / 4;
typedef float Vector __attribute__((vector_size(PORTFIRE_VECTOR_BYTES)));
typedef float Loose __attribute__((vector_size(PORTFIRE_VECTOR_BYTES), aligned(4), may_alias));

Vector load(const float* from) { return *reinterpret_cast<const Loose*>(from); }
void store(float* to, Vector v) { *reinterpret_cast<Loose*>(to) = v; }
Vector all(float value) { return value - Vector{}; }  // minus nothing, not plus: -0 stays what it is, and so one load

std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
std::int64_t most(std::int64_t a, std::int64_t b) { return a < b ? b : a; }

/// A NaN stays one.
Vector within(Vector v, Vector low, Vector high) {
  v = v < low ? low : v;
  return v > high ? high : v;
}

/// Where rows begin, one after the other: a division for each would cost more than a small row.
template <typename Float>
class Cursor {
 public:
  Cursor(Float* begin, const Grid& grid, std::int64_t row) : grid_(grid), row_(row), column_(row % grid.across), line_(row / grid.across % grid.down) {
    image_ = begin + row / grid.across / grid.down * grid.image_step;
    line_begin_ = image_ + line_ * grid.row_step;
  }
  std::int64_t row() const { return row_; }
  Float* next() {
    Float* here = line_begin_ + column_ * grid_.column_step;
    ++row_;
    if (++column_ < grid_.across) return here;
    column_ = 0;
    line_begin_ += grid_.row_step;
    if (++line_ < grid_.down) return here;
    line_ = 0;
    image_ += grid_.image_step;
    line_begin_ = image_;
    return here;
  }

 private:
  const Grid& grid_;
  std::int64_t row_, column_, line_;
  Float* image_;
  Float* line_begin_;
};

/// The rows of x, and where in y they go.
struct Rows {
  Cursor<const float> x;
  Cursor<float> y;
};

/// R rows times P panels, sums in registers.
template <int R, int P>
__attribute__((noinline)) void tile(const Product& p, Rows& at, std::int64_t first_panel) {
  const std::int64_t first_row = at.x.row();
  const float* rows[R];
  for (int r = 0; r < R; ++r) rows[r] = at.x.next();
  const std::int64_t depth = p.segments * p.length;
  const float* weight = p.weight + first_panel * depth * kWidth;
  Vector sums[R][P];
  for (int j = 0; j < P; ++j) {
    const Vector bias = load(p.bias + (first_panel + j) * kWidth);
    for (int r = 0; r < R; ++r) sums[r][j] = bias;
  }
  for (std::int64_t s = 0; s < p.segments; ++s) {
    const std::int64_t offset = p.offsets[s];
    for (std::int64_t k = 0; k < p.length; ++k, weight += kWidth) {
      Vector w[P];
      for (int j = 0; j < P; ++j) w[j] = load(weight + j * depth * kWidth);
      for (int r = 0; r < R; ++r) {
        const Vector x = all(rows[r][offset + k]);
        for (int j = 0; j < P; ++j) sums[r][j] += x * w[j];
      }
    }
  }
  const Vector low = all(p.low);
  const Vector high = all(p.high);
  float* to[R];
  if (p.to.across == 1 && p.to.down == 1) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) to[r] = p.y + (first_row + r) * p.to.image_step + first_panel * kWidth;
  } else {
    for (int r = 0; r < R; ++r) to[r] = at.y.next() + first_panel * kWidth;
  }
  const std::int64_t left = p.outputs - first_panel * kWidth;
  const float* const other = p.other ? p.other + first_row * p.outputs + first_panel * kWidth : nullptr;
  if (left >= P * kWidth) {
    if (other) {
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
        for (int j = 0; j < P; ++j) sums[r][j] += load(other + r * p.outputs + j * kWidth);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < P; ++j) store(to[r] + j * kWidth, within(sums[r][j], low, high));
    }
    return;
  }
  for (int r = 0; r < R; ++r) {
    for (int j = 0; j < P; ++j) {
      Vector v = sums[r][j];
      const std::int64_t count = least(left - j * kWidth, kWidth);
      for (std::int64_t k = 0; other && k < count; ++k) v[k] += other[r * p.outputs + j * kWidth + k];
      v = within(v, low, high);
      for (std::int64_t k = 0; k < count; ++k) to[r][j * kWidth + k] = v[k];
    }
  }
}

/// All rows times P panels: as many rows at a time as the registers hold, then the rest.
template <int P, int R>
void panels(const Product& p, Rows at, std::int64_t last_row, std::int64_t panel) {
  while (at.x.row() + R <= last_row) tile<R, P>(p, at, panel);
  if constexpr (R > 1) {
    if (at.x.row() < last_row) panels<P, R - 1>(p, at, last_row, panel);
  }
}

/// One row times the panels that are left, at most P.
template <int P>
void last_panels(const Product& p, const Rows& at, std::int64_t last_row, std::int64_t panel, std::int64_t count) {
  if (count - panel == P) {
    panels<P, 1>(p, at, last_row, panel);
  } else if constexpr (P > 1) {
    last_panels<P - 1>(p, at, last_row, panel, count);
  }
}

void multiply(const Product& p, std::int64_t first_row, std::int64_t last_row) {
  const std::int64_t count = (p.outputs + kWidth - 1) / kWidth;
  const Rows at{{p.x, p.from, first_row}, {p.y, p.to, first_row}};
  std::int64_t panel = 0;
  if (last_row - first_row == 1) {  // more panels, so that there are sums enough to wait for one another
    for (; panel + 8 <= count; panel += 8) panels<8, 1>(p, at, last_row, panel);
    if (panel < count) last_panels<7>(p, at, last_row, panel, count);
    return;
  }
  for (; panel + 2 <= count; panel += 2) panels<2, 6>(p, at, last_row, panel);
  if (panel < count) panels<1, 8>(p, at, last_row, panel);
}

#include "engine/graph/kernels/direct/depthwise_code.h"
#include "engine/graph/kernels/direct/winograd_code.h"

typedef int Whole __attribute__((vector_size(PORTFIRE_VECTOR_BYTES)));

/// Of what is within half the logarithm of 2; as the Cephes library does it, within 2 units in the last place.
Vector exponential_near_zero(Vector r) {
  Vector p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  return p * r * r + r + 1.0F;
}

/// 2^n times that; e^-87 for all that is smaller, and infinity from 88.37.
Vector exponential(Vector x) {
  x = within(x, all(-87.0F), all(89.0F));  // above, 2^128: infinity
  const Vector shifted = x * 1.44269504F + 12582912.0F;  // 1.5 * 2^23: the whole part lies in the last bits
  const Vector n = shifted - 12582912.0F;
  const Vector r = x - n * 0.693359375F + n * 2.12194440e-4F;
  return exponential_near_zero(r) * reinterpret_cast<Vector>((__builtin_convertvector(n, Whole) + 127) << 23);
}

Vector sigmoid(Vector x) { return 1.0F / (1.0F + exponential(-x)); }

/// Near zero Cephes' polynomial: what is left of 1 - 1 has no digits.
Vector hyperbolic_tangent(Vector x) {
  const Vector z = x * x;
  Vector p = z * -5.70498872745e-3F + 2.06390887954e-2F;
  p = p * z - 5.37397155531e-2F;
  p = p * z + 1.33314422036e-1F;
  p = p * z - 3.33332819422e-1F;
  const Vector near = x * (z * p + 1.0F);
  const Vector far = 1.0F - 2.0F / (exponential(x + x) + 1.0F);
  return z < 0.390625F ? near : far;
}

/// Abramowitz and Stegun, 7.1.26: within 1.5e-7.
Vector error_function(Vector x) {
  const Vector size = x < 0.0F ? -x : x;
  const Vector t = 1.0F / (1.0F + 0.3275911F * size);
  Vector p = t * 1.061405429F - 1.453152027F;
  p = p * t + 1.421413741F;
  p = p * t - 0.284496736F;
  p = p * t + 0.254829592F;
  const Vector y = 1.0F - p * t * exponential(-size * size);
  return x < 0.0F ? -y : y;
}

struct Gelu {  // Hendrycks and Gimpel, 2016
  static Vector of(Vector x) { return 0.5F * x * (1.0F + error_function(x * 0.707106781F)); }
};
struct GeluTanh {
  static Vector of(Vector x) { return 0.5F * x * (1.0F + hyperbolic_tangent(0.797884561F * (x + 0.044715F * x * x * x))); }
};
struct Silu {
  static Vector of(Vector x) { return x * sigmoid(x); }
};
struct Sigmoid {
  static Vector of(Vector x) { return sigmoid(x); }
};
struct Tanh {
  static Vector of(Vector x) { return hyperbolic_tangent(x); }
};

Vector load(const float* from, std::int64_t count) {
  if (count >= kWidth) return load(from);
  Vector v{};
  for (std::int64_t k = 0; k < count; ++k) v[k] = from[k];
  return v;
}

void store(float* to, Vector v, std::int64_t count) {
  if (count >= kWidth) return store(to, v);
  for (std::int64_t k = 0; k < count; ++k) to[k] = v[k];
}

template <typename Function>
void each(float* y, std::int64_t count) {
  std::int64_t k = 0;
  for (; k + kWidth <= count; k += kWidth) store(y + k, Function::of(load(y + k)));
  if (k < count) store(y + k, Function::of(load(y + k, count - k)), count - k);
}

void activate(Activation activation, float* y, std::int64_t count) {
  switch (activation) {
    case Activation::kGelu: return each<Gelu>(y, count);
    case Activation::kGeluTanh: return each<GeluTanh>(y, count);
    case Activation::kSilu: return each<Silu>(y, count);
    case Activation::kSigmoid: return each<Sigmoid>(y, count);
    case Activation::kTanh: return each<Tanh>(y, count);
  }
}

#include "engine/graph/kernels/direct/linear_code.h"
#include "engine/graph/kernels/direct/pointwise_code.h"

void lstm(const Lstm& p, std::int64_t first, std::int64_t last) {
  const std::int64_t offset = 0;
  const float infinity = __builtin_inff();
  Product product{.x = p.h, .from = {.across = p.rows, .column_step = p.hidden}, .offsets = &offset, .length = p.hidden, .weight = p.weight,
                  .bias = p.zeros, .low = -infinity, .high = infinity, .y = p.gates, .to = {.image_step = 4 * p.hidden},
                  .outputs = 4 * p.hidden};
  for (std::int64_t step = 0; step < p.steps; ++step) {
    const std::int64_t t = p.reversed ? p.steps - 1 - step : step;
    product.other = p.inputs + t * p.rows * product.outputs;
    multiply(product, first, last);
    float* y = p.y + t * p.y_step;
    for (std::int64_t row = first; row < last; ++row) {
      const float* gates = p.gates + row * product.outputs;
      float* c = p.c + row * p.hidden;
      for (std::int64_t k = 0; k < p.hidden; k += kWidth) {
        const std::int64_t left = p.hidden - k;
        const Vector in = sigmoid(load(gates + k, left));
        const Vector forget = sigmoid(load(gates + p.hidden + k, left));
        const Vector candidate = hyperbolic_tangent(load(gates + 2 * p.hidden + k, left));
        const Vector out = sigmoid(load(gates + 3 * p.hidden + k, left));
        const Vector cell = forget * load(c + k, left) + in * candidate;
        store(c + k, cell, left);
        store(y + row * p.y_row + k, out * hyperbolic_tangent(cell), left);
      }
    }
    product.x = y;
    product.from.column_step = p.y_row;
  }
}

void affine(const Affine& p, std::int64_t first, std::int64_t last) {
  const Vector low = all(p.low);
  const Vector high = all(p.high);
  const auto piece = [&](const float* x, float* y, std::int64_t c) { store(y + c, within(load(x + c) * load(p.scale + c) + load(p.shift + c), low, high)); };
  for (std::int64_t pixel = first; pixel < last; ++pixel) {
    const float* x = p.x + pixel * p.channels;
    float* y = p.y + pixel * p.channels;
    std::int64_t c = 0;
    for (; c + kWidth <= p.channels; c += kWidth) piece(x, y, c);
    if (c < p.channels && p.channels >= kWidth) {
      piece(x, y, p.channels - kWidth);  // some twice
    } else {
      for (; c < p.channels; ++c) {
        const float v = x[c] * p.scale[c] + p.shift[c];
        y[c] = v < p.low ? p.low : v > p.high ? p.high : v;
      }
    }
  }
}

Vector larger(Vector a, Vector b) {
  a = b > a ? b : a;
  return b != b ? b : a;
}

float larger(float a, float b) { return b > a || b != b ? b : a; }

void to_larger(float* a, const float* b, const float* c, std::int64_t count) {
  std::int64_t k = 0;
  for (; k + kWidth <= count; k += kWidth) store(a + k, larger(load(b + k), load(c + k)));
  for (; k < count; ++k) a[k] = larger(b[k], c[k]);
}

void max_pool(const MaxPool& p, std::int64_t first, std::int64_t last, float* line) {
  const std::int64_t across = p.width * p.channels;
  for (std::int64_t out = first; out < last; ++out) {
    const std::int64_t above = out % p.out_height * p.stride_height - p.pad_height;
    const std::int64_t top = most(above, 0);
    const std::int64_t bottom = least(above + p.kernel_height, p.height);
    const std::int64_t before_front = out / p.out_height % p.out_depth * p.stride_depth - p.pad_depth;
    const std::int64_t front = most(before_front, 0);
    const std::int64_t back = least(before_front + p.kernel_depth, p.depth);
    const float* image = p.x + out / p.out_height / p.out_depth * p.depth * p.height * across;
    const float* const first_row = image + (front * p.height + top) * across;
    const float* tallest = first_row;
    for (std::int64_t d = front; d < back; ++d) {
      for (std::int64_t h = top; h < bottom; ++h) {
        const float* row = image + (d * p.height + h) * across;
        if (row == first_row) continue;
        to_larger(line, tallest, row, across);
        tallest = line;
      }
    }
    float* y = p.y + out * p.out_width * p.channels;
    for (std::int64_t w = 0; w < p.out_width; ++w, y += p.channels) {
      const std::int64_t before = w * p.stride_width - p.pad_width;
      const std::int64_t left = most(before, 0);
      const std::int64_t right = least(before + p.kernel_width, p.width);
      const float* from = tallest + left * p.channels;
      to_larger(y, from, right - left > 1 ? from + p.channels : from, p.channels);
      for (std::int64_t k = 2; k < right - left; ++k) to_larger(y, y, from + k * p.channels, p.channels);
    }
  }
}

#include "engine/graph/kernels/direct/attention_code.h"

}  // namespace
