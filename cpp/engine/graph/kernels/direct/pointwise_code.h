// Included by code.h, and compiled for as many vectors as it.

struct Square {
  static Vector of(Vector x) { return x * x; }
};
struct Reciprocal {
  static Vector of(Vector x) { return 1.0F / x; }
};
struct Root {
  static Vector of(Vector x) {
    for (int k = 0; k < kWidth; ++k) x[k] = __builtin_sqrtf(x[k]);
    return x;
  }
};
struct Size {
  static Vector of(Vector x) { return reinterpret_cast<Vector>(reinterpret_cast<Whole>(x) & 0x7fffffff); }
};
struct Exponential {
  /// With all that float32 has: to where it is 0, and to its largest number. 2^n is too much for one factor at either end.
  static Vector of(Vector x) {
    x = within(x, all(-105.0F), all(89.0F));
    const Vector n = (x * 1.44269504F + 12582912.0F) - 12582912.0F;
    const Vector r = x - n * 0.693359375F + n * 2.12194440e-4F;
    const Whole whole = __builtin_convertvector(n, Whole), half = whole >> 1;
    const auto power = [](Whole exponent) { return reinterpret_cast<Vector>((exponent + 127) << 23); };
    return exponential_near_zero(r) * power(half) * power(whole - half);
  }
};
struct ErrorFunction {
  /// Near zero its series: there its error must be small beside x.
  static Vector of(Vector x) {
    const Vector z = x * x;
    Vector p = z * 1.2055333e-4F - 8.5483270e-4F;
    p = p * z + 5.2239776e-3F;
    p = p * z - 2.6866171e-2F;
    p = p * z + 1.1283792e-1F;
    p = p * z - 3.7612639e-1F;
    const Vector near = x * (p * z + 1.1283792F);
    return z < 0.25F ? near : error_function(x);
  }
};

/// `count` is a multiple of kWidth.
template <typename Function>
void each(const float* a, float* y, std::int64_t count, Function function) {
  for (std::int64_t k = 0; k < count; k += kWidth) store(y + k, function(load(a + k)));
}

template <typename Function>
void each(const float* a, const float* b, float* y, std::int64_t count, Function function) {
  for (std::int64_t k = 0; k < count; k += kWidth) store(y + k, function(load(a + k), load(b + k)));
}

void run(const PointwiseStep& step, const float* a, const float* b, float* y, std::int64_t count) {
  const Vector p = all(step.p), q = all(step.q);
  switch (step.operation) {
    case Pointwise::kAffine: return each(a, y, count, [&](Vector x) { return x * p + q; });
    case Pointwise::kAdd: return each(a, b, y, count, [&](Vector x, Vector other) { return x + p * other; });
    case Pointwise::kMultiply: return each(a, b, y, count, [&](Vector x, Vector other) { return x * other; });
    case Pointwise::kDivide: return each(a, b, y, count, [&](Vector x, Vector other) { return x / other; });
    case Pointwise::kDivideByNumber: return each(a, y, count, [&](Vector x) { return x / p; });
    case Pointwise::kDivideNumber: return each(a, y, count, [&](Vector x) { return p / x; });
    case Pointwise::kBounds: return each(a, y, count, [&](Vector x) { return within(x, p, q); });
    case Pointwise::kSquare: return each(a, y, count, Square::of);
    case Pointwise::kReciprocal: return each(a, y, count, Reciprocal::of);
    case Pointwise::kRoot: return each(a, y, count, Root::of);
    case Pointwise::kSize: return each(a, y, count, Size::of);
    case Pointwise::kExponential: return each(a, y, count, Exponential::of);
    case Pointwise::kErrorFunction: return each(a, y, count, ErrorFunction::of);
    case Pointwise::kGelu: return each(a, y, count, Gelu::of);
    case Pointwise::kGeluTanh: return each(a, y, count, GeluTanh::of);
    case Pointwise::kSilu: return each(a, y, count, Silu::of);
    case Pointwise::kSigmoid: return each(a, y, count, Sigmoid::of);
    case Pointwise::kTanh: return each(a, y, count, Tanh::of);
  }
}

/// The values of an input from `first` on, at `to`.
void spread(const PointwiseInput& input, std::int64_t first, std::int64_t count, float* to) {
  for (std::int64_t k = 0; k < count;) {
    const std::int64_t at = first + k;
    const float* from = input.values + at / input.every * input.length + at % input.length;
    if (input.length == 1) {  // one value for `every` of them
      const std::int64_t same = least(input.every - at % input.every, count - k);
      for (std::int64_t end = k + same; k < end; ++k) to[k] = *from;
    } else {
      const std::int64_t piece = least(input.length - at % input.length, count - k);
      for (std::int64_t i = 0; i < piece; ++i) to[k + i] = from[i];
      k += piece;
    }
  }
}

void pointwise(const PointwiseChain& chain, std::int64_t first, std::int64_t last, float* registers) {
  const float* values[kMostPointwise];
  for (std::int64_t begin = first; begin < last; begin += kPointwiseBlock) {
    const std::int64_t count = least(kPointwiseBlock, last - begin);
    const std::int64_t rounded = (count + kWidth - 1) / kWidth * kWidth;
    for (std::int64_t k = 0; k < chain.input_count; ++k) {
      const PointwiseInput& input = chain.inputs[k];
      float* const room = registers + k * kPointwiseBlock;
      values[k] = room;
      if (input.length == 0 && count == rounded) {
        values[k] = input.values + begin;
      } else if (input.length == 0) {
        for (std::int64_t i = 0; i < count; ++i) room[i] = input.values[begin + i];
      } else {
        spread(input, begin, count, room);
      }
    }
    for (std::int64_t k = 0; k < chain.step_count; ++k) {
      const PointwiseStep& step = chain.steps[k];
      const bool is_last = k + 1 == chain.step_count;
      float* const room = registers + (chain.input_count + k) * kPointwiseBlock;
      float* const to = is_last && count == rounded ? chain.y + begin : room;
      run(step, values[step.a], values[step.b], to, rounded);
      values[chain.input_count + k] = to;
      for (std::int64_t i = 0; is_last && to == room && i < count; ++i) chain.y[begin + i] = room[i];
    }
  }
}
