// Included by code.h, and compiled for as many vectors as it.

typedef int LooseWhole __attribute__((vector_size(PORTFIRE_VECTOR_BYTES), aligned(4), may_alias));

/// The values that stand at one part of a vector of words.
struct Float32 {
  static constexpr int kValues = 1;
  template <int Part>
  static Vector values(Whole words) { return reinterpret_cast<Vector>(words); }
};
struct BFloat16 {
  static constexpr int kValues = 2;
  template <int Part>
  static Vector values(Whole words) { return reinterpret_cast<Vector>(Part == 0 ? words << 16 : words & static_cast<int>(0xffff0000U)); }
};
/// Times 2^24: to shift them down would cost as much as to shift them up.
struct Int8 {
  static constexpr int kValues = 4;
  template <int Part>
  static Vector values(Whole words) {
    if constexpr (Part == 0) return __builtin_convertvector(words << 24, Vector);
    return __builtin_convertvector((words << (24 - 8 * Part)) & static_cast<int>(0xff000000U), Vector);
  }
};

constexpr int kMostSums = kWidth == 16 ? 24 : 12;  // vectors that the registers hold, beside a weight's and a row's
constexpr int kMostRows = kWidth == 16 ? 8 : 6;    // that meet a weight at once
constexpr int panels_of(int rows) { return kMostSums / rows < 8 ? kMostSums / rows : 8; }

constexpr std::int64_t words_of(std::int64_t inputs, std::int64_t values) { return (inputs + values - 1) / values; }

/// One vector of y. By itself, so that it rounds the same way for every tile.
__attribute__((noinline)) void finish(const Linear& p, Vector sum, std::int64_t row, std::int64_t panel) {
  const std::int64_t column = panel * kWidth;
  const std::int64_t count = p.outputs - column;
  float* const y = p.y + row * p.outputs + column;
  if (p.scale) sum *= load(p.scale + column);
  sum += load(p.bias + column);
  if (p.other) sum += load(p.other + row * p.outputs + column, count);
  store(y, within(sum, all(p.low), all(p.high)), count);
}

/// What the first `count` values of words are to R rows' sums.
template <typename Values, int R, int P, int Part = 0>
inline __attribute__((always_inline)) void add_words(const float* x, std::int64_t inputs, const Whole (&words)[P], std::int64_t count, Vector (&sums)[R][P]) {
  if constexpr (Part < Values::kValues) {
    if (Part >= count) return;
    Vector w[P];
    for (int j = 0; j < P; ++j) w[j] = Values::template values<Part>(words[j]);
    for (int r = 0; r < R; ++r) {
      const Vector value = all(x[r * inputs + Part]);
      for (int j = 0; j < P; ++j) sums[r][j] += value * w[j];
    }
    add_words<Values, R, P, Part + 1>(x, inputs, words, count, sums);
  }
}

/// R rows times P panels, of which `weight` has the first.
template <typename Values, int R, int P>
__attribute__((noinline)) void linear_tile(const Linear& p, const std::int32_t* weight, std::int64_t row, std::int64_t panel) {
  constexpr std::int64_t kAhead = 512 / sizeof(std::int32_t);  // the weight comes from far, once
  const std::int64_t step = words_of(p.inputs, Values::kValues) * kWidth;
  const float* x = p.x + row * p.inputs;
  Vector sums[R][P] = {};
  Whole words[P];
  std::int64_t left = p.inputs;
  for (; left >= Values::kValues; left -= Values::kValues, x += Values::kValues, weight += kWidth) {
    for (int j = 0; j < P; ++j) {
      __builtin_prefetch(weight + j * step + kAhead);
      words[j] = *reinterpret_cast<const LooseWhole*>(weight + j * step);
    }
    add_words<Values, R, P>(x, p.inputs, words, Values::kValues, sums);
  }
  if (left > 0) {
    for (int j = 0; j < P; ++j) words[j] = *reinterpret_cast<const LooseWhole*>(weight + j * step);
    add_words<Values, R, P>(x, p.inputs, words, left, sums);
  }
  for (int r = 0; r < R; ++r) {
    for (int j = 0; j < P; ++j) finish(p, sums[r][j], row + r, panel + j);
  }
}

/// R rows times the panels from `panel` to `last`: as many at a time as the registers hold, then the rest.
template <typename Values, int R, int P>
void linear_panels(const Linear& p, const std::int32_t* weight, std::int64_t row, std::int64_t panel, std::int64_t last) {
  const std::int64_t step = words_of(p.inputs, Values::kValues) * kWidth;
  for (; panel + P <= last; panel += P, weight += P * step) linear_tile<Values, R, P>(p, weight, row, panel);
  if constexpr (P > 1) {
    if (panel < last) linear_panels<Values, R, P / 2>(p, weight, row, panel, last);
  }
}

template <typename Values, int R>
void linear_rows(const Linear& p, const std::int32_t* weight, std::int64_t row, std::int64_t last_row, std::int64_t panel, std::int64_t last) {
  for (; row + R <= last_row; row += R) linear_panels<Values, R, panels_of(R)>(p, weight, row, panel, last);
  if constexpr (R > 1) {
    if (row < last_row) linear_rows<Values, R - 1>(p, weight, row, last_row, panel, last);
  }
}

template <typename Values, int Part = 0>
inline __attribute__((always_inline)) void widen_words(Whole words, std::int64_t count, float* to) {
  if constexpr (Part < Values::kValues) {
    if (Part >= count) return;
    store(to + Part * kWidth, Values::template values<Part>(words));
    widen_words<Values, Part + 1>(words, count, to);
  }
}

/// The same numbers as float32.
template <typename Values>
void widen(const std::int32_t* words, std::int64_t inputs, float* to) {
  for (std::int64_t left = inputs; left > 0; left -= Values::kValues, words += kWidth, to += Values::kValues * kWidth) {
    widen_words<Values>(*reinterpret_cast<const LooseWhole*>(words), left, to);
  }
}

/// A few rows meet the weight as it comes; for more it is widened once, some panels at a time.
template <typename Values>
void linear_as(const Linear& p, std::int64_t first_row, std::int64_t last_row, std::int64_t first_panel, std::int64_t last_panel, float* room) {
  const std::int64_t step = words_of(p.inputs, Values::kValues) * kWidth;
  const std::int32_t* weight = p.weight + first_panel * step;
  if (last_row - first_row <= kMostRows) return linear_rows<Values, kMostRows>(p, weight, first_row, last_row, first_panel, last_panel);
  constexpr std::int64_t kGroup = panels_of(kMostRows);
  static_assert(kGroup <= kMostWidened);
  for (std::int64_t panel = first_panel; panel < last_panel; panel += kGroup) {
    const std::int64_t end = least(panel + kGroup, last_panel);
    const std::int32_t* wide = weight;
    if constexpr (Values::kValues > 1) {
      for (std::int64_t k = panel; k < end; ++k) widen<Values>(weight + (k - panel) * step, p.inputs, room + (k - panel) * p.inputs * kWidth);
      wide = reinterpret_cast<const std::int32_t*>(room);
    }
    linear_rows<Float32, kMostRows>(p, wide, first_row, last_row, panel, end);
    weight += kGroup * step;
  }
}

void linear(const Linear& p, std::int64_t first_row, std::int64_t last_row, std::int64_t first_panel, std::int64_t last_panel, float* room) {
  switch (p.kept) {
    case Kept::kFloat32: return linear_as<Float32>(p, first_row, last_row, first_panel, last_panel, room);
    case Kept::kBFloat16: return linear_as<BFloat16>(p, first_row, last_row, first_panel, last_panel, room);
    case Kept::kInt8: return linear_as<Int8>(p, first_row, last_row, first_panel, last_panel, room);
  }
}
