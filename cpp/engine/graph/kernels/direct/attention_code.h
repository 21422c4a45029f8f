// Included by code.h, and compiled for as many vectors as it.

/// Every value is the sum of all.
Vector total(Vector v) {
  Whole places;
  for (int k = 0; k < kWidth; ++k) places[k] = k;
  for (int step = kWidth / 2; step > 0; step /= 2) v += __builtin_shuffle(v, places ^ step);
  return v;
}

float dot(const float* a, const float* b, std::int64_t count) {
  Vector sum{};
  std::int64_t k = 0;
  for (; k + kWidth <= count; k += kWidth) sum += load(a + k) * load(b + k);
  float all_of_it = total(sum)[0];
  for (; k < count; ++k) all_of_it += a[k] * b[k];
  return all_of_it;
}

/// y = weights v, where `weights` are as many as there are places.
void add_up(const float* weights, const float* v, std::int64_t step, std::int64_t places, float factor, float* y, std::int64_t size) {
  std::int64_t k = 0;
  for (; k + 4 * kWidth <= size; k += 4 * kWidth) {
    Vector sums[4] = {};
    for (std::int64_t t = 0; t < places; ++t) {
      for (int j = 0; j < 4; ++j) sums[j] += weights[t] * load(v + t * step + k + j * kWidth);
    }
    for (int j = 0; j < 4; ++j) store(y + k + j * kWidth, sums[j] * factor);
  }
  for (; k < size; k += kWidth) {
    const std::int64_t count = least(kWidth, size - k);
    Vector sum{};
    for (std::int64_t t = 0; t < places; ++t) sum += weights[t] * load(v + t * step + k, count);
    store(y + k, sum * factor, count);
  }
}

void attend(const OneQuery& p, std::int64_t first, std::int64_t last, float* scores) {
  for (std::int64_t task = first; task < last; ++task) {
    const std::int64_t n = task / p.heads, h = task % p.heads, group = h / (p.heads / p.kv_heads);
    const float* q = p.q + n * p.q_row + h * p.q_head;
    const float* k = p.k + n * p.k_row + group * p.k_head;
    const unsigned char* mask = p.mask ? p.mask + n * p.mask_row + h * p.mask_head : nullptr;
    std::int64_t places = p.places;
    while (mask && places > 0 && !mask[places - 1]) --places;
    const float nothing = -__builtin_inff();
    Vector largest = all(nothing);
    for (std::int64_t t = 0; t < places; ++t) scores[t] = mask && !mask[t] ? nothing : dot(q, k + t * p.k_place, p.size) * p.scale;
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
    add_up(scores, p.v + n * p.v_row + group * p.v_head, p.v_place, places, 1 / total(sum)[0], p.y + task * p.value_size, p.value_size);
  }
}
