// Included by code.h, and compiled for as many vectors as it.

struct Four {
  Vector v[4];
};
/// One axis of B^T d B.
Four spread(Vector a, Vector b, Vector c, Vector d) { return {{a - c, b + c, c - b, b - d}}; }

void winograd_spread(const Winograd& p, std::int64_t first, std::int64_t last, float* spread_tiles, std::int64_t room) {
  const std::int64_t step = room * p.inputs;
  for (std::int64_t tile = first; tile < last; ++tile) {
    const std::int64_t image = tile / (p.tiles_down * p.tiles_across);
    const std::int64_t above = tile / p.tiles_across % p.tiles_down * 2 - p.pad_height;
    const std::int64_t before = tile % p.tiles_across * 2 - p.pad_width;
    const float* pixels[4][4];
    for (std::int64_t i = 0; i < 4; ++i) {
      for (std::int64_t j = 0; j < 4; ++j) {
        const std::int64_t h = above + i;
        const std::int64_t w = before + j;
        const bool is_there = h >= 0 && h < p.height && w >= 0 && w < p.width;
        pixels[i][j] = is_there ? p.x + ((image * p.height + h) * p.width + w) * p.inputs : p.zeros;
      }
    }
    float* to = spread_tiles + (tile - first) * p.inputs;
    for (std::int64_t c = 0; c < p.inputs; c += kWidth) {
      Four columns[4];
      for (int j = 0; j < 4; ++j) {
        columns[j] = spread(load(pixels[0][j] + c), load(pixels[1][j] + c), load(pixels[2][j] + c), load(pixels[3][j] + c));
      }
      for (int i = 0; i < 4; ++i) {
        const Four row = spread(columns[0].v[i], columns[1].v[i], columns[2].v[i], columns[3].v[i]);
        for (int j = 0; j < 4; ++j) store(to + (4 * i + j) * step + c, row.v[j]);
      }
    }
  }
}

/// One axis of A^T m A.
struct Two {
  Vector a, b;
};
Two gathered(Vector a, Vector b, Vector c, Vector d) { return {a + b + c, b - c - d}; }

void winograd_gather(const Winograd& p, std::int64_t first, std::int64_t last, const float* products, std::int64_t room) {
  const Vector low = all(p.low);
  const Vector high = all(p.high);
  const std::int64_t step = room * p.outputs;
  for (std::int64_t tile = first; tile < last; ++tile) {
    const std::int64_t image = tile / (p.tiles_down * p.tiles_across);
    const std::int64_t top = tile / p.tiles_across % p.tiles_down * 2;
    const std::int64_t left = tile % p.tiles_across * 2;
    const std::int64_t rows = least(2, p.out_height - top);
    const std::int64_t columns = least(2, p.out_width - left);
    const std::int64_t place = ((image * p.out_height + top) * p.out_width + left) * p.outputs;
    const float* from = products + (tile - first) * p.outputs;
    for (std::int64_t c = 0; c < p.outputs; c += kWidth) {
      Two across[4];
      for (int j = 0; j < 4; ++j) {
        const float* m = from + j * step + c;
        across[j] = gathered(load(m), load(m + 4 * step), load(m + 8 * step), load(m + 12 * step));
      }
      const Vector bias = load(p.bias + c);
      for (std::int64_t i = 0; i < rows; ++i) {
        const Two pair = i == 0 ? gathered(across[0].a, across[1].a, across[2].a, across[3].a) : gathered(across[0].b, across[1].b, across[2].b, across[3].b);
        const std::int64_t at = place + i * p.out_width * p.outputs + c;
        for (std::int64_t j = 0; j < columns; ++j) {
          const Vector other = p.other ? load(p.other + at + j * p.outputs) : Vector{};
          store(p.y + at + j * p.outputs, within((j == 0 ? pair.a : pair.b) + bias + other, low, high));
        }
      }
    }
  }
}
