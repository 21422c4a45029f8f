// Included by code.h, and compiled for as many vectors as it.

/// Every value is the sum of all.
Vector total(Vector v) {
  Whole places;
  for (int k = 0; k < kWidth; ++k) places[k] = k;
  for (int step = kWidth / 2; step > 0; step /= 2) v += __builtin_shuffle(v, places ^ step);
  return v;
}

/// q k of places in a row: several at once, as each has to wait for its sums.
template <int Count>
void dots(const float* q, const float* k, std::int64_t step, std::int64_t size, float* to) {
  Vector sums[Count] = {};
  float all_of_it[Count] = {};
  std::int64_t i = 0;
  for (; i + kWidth <= size; i += kWidth) {
    for (int j = 0; j < Count; ++j) sums[j] += load(q + i) * load(k + j * step + i);
  }
  for (int j = 0; i > 0 && j < Count; ++j) all_of_it[j] = total(sums[j])[0];
  for (; i < size; ++i) {
    for (int j = 0; j < Count; ++j) all_of_it[j] += q[i] * k[j * step + i];
  }
  for (int j = 0; j < Count; ++j) to[j] = all_of_it[j];
}

/// Some columns of weights v, where `weights` are as many as there are places.
template <typename Columns>
void add_columns(const float* weights, const float* v, std::int64_t step, std::int64_t places, float factor, float* y) {
  constexpr int kSums = 4;  // each has to wait for itself
  Columns sums[kSums] = {}, values;
  std::int64_t t = 0;
  for (; t + kSums <= places; t += kSums) {
    for (int j = 0; j < kSums; ++j) {
      __builtin_memcpy(&values, v + (t + j) * step, sizeof values);
      sums[j] += weights[t + j] * values;
    }
  }
  for (; t < places; ++t) {
    __builtin_memcpy(&values, v + t * step, sizeof values);
    sums[0] += weights[t] * values;
  }
  values = ((sums[0] + sums[1]) + (sums[2] + sums[3])) * factor;
  __builtin_memcpy(y, &values, sizeof values);
}

typedef float FourFloats __attribute__((vector_size(16)));
typedef float EightFloats __attribute__((vector_size(32)));

/// y = weights v.
void add_up(const float* weights, const float* v, std::int64_t step, std::int64_t places, float factor, float* y, std::int64_t size) {
  std::int64_t k = 0;
  for (; k + 4 * kWidth <= size; k += 4 * kWidth) {
    Vector sums[4] = {};
    for (std::int64_t t = 0; t < places; ++t) {
      for (int j = 0; j < 4; ++j) sums[j] += weights[t] * load(v + t * step + k + j * kWidth);
    }
    for (int j = 0; j < 4; ++j) store(y + k + j * kWidth, sums[j] * factor);
  }
  for (; k + kWidth <= size; k += kWidth) add_columns<Vector>(weights, v + k, step, places, factor, y + k);
  if constexpr (kWidth > 8) {
    if (k + 8 <= size) add_columns<EightFloats>(weights, v + k, step, places, factor, y + k), k += 8;
  }
  if constexpr (kWidth > 4) {
    if (k + 4 <= size) add_columns<FourFloats>(weights, v + k, step, places, factor, y + k), k += 4;
  }
  for (; k < size; ++k) add_columns<float>(weights, v + k, step, places, factor, y + k);
}

void attend(const OneQuery& p, std::int64_t first, std::int64_t last, float* scores) {
  for (std::int64_t task = first; task < last; ++task) {
    const std::int64_t n = task / p.queries / p.heads, h = task / p.queries % p.heads, at = task % p.queries, group = h / (p.heads / p.kv_heads);
    const float* q = p.q + n * p.q_row + h * p.q_head + at * p.q_query;
    const float* k = p.k + n * p.k_row + group * p.k_head;
    const unsigned char* mask = p.mask ? p.mask + n * p.mask_row + h * p.mask_head + at * p.mask_query : nullptr;
    std::int64_t places = p.places;
    while (mask && places > 0 && !mask[places - 1]) --places;
    const float nothing = -__builtin_inff();
    Vector largest = all(nothing);
    constexpr int kAtOnce = 8;
    std::int64_t seen = 0;
    for (; seen + kAtOnce <= places; seen += kAtOnce) dots<kAtOnce>(q, k + seen * p.k_place, p.k_place, p.size, scores + seen);
    for (; seen < places; ++seen) dots<1>(q, k + seen * p.k_place, p.k_place, p.size, scores + seen);
    for (std::int64_t t = 0; t < places; ++t) scores[t] = mask && !mask[t] ? nothing : scores[t] * p.scale;
    for (std::int64_t t = places; t % kWidth != 0; ++t) scores[t] = nothing;
    for (std::int64_t t = 0; t < places; t += kWidth) largest = larger(largest, load(scores + t));
    float top = largest[0];
    for (int j = 1; j < kWidth; ++j) top = larger(top, largest[j]);
    Vector sum{};
    for (std::int64_t t = 0; t < places; t += kWidth) {
      const Vector score = load(scores + t);
      const Vector weight = score == nothing ? Vector{} : exponential(score - top);
      sum += weight;
      store(scores + t, weight);
    }
    float* const y = p.y + ((n * p.queries + at) * p.heads + h) * p.value_size;
    add_up(scores, p.v + n * p.v_row + group * p.v_head, p.v_place, places, 1 / total(sum)[0], y, p.value_size);
  }
}
