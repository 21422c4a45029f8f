#pragma once

#include <cstdint>

namespace portfire::graph::direct {

/// Where rows begin: row r at (r % across) column_step + (r / across % down) row_step + r / (across down) image_step.
struct Grid {
  std::int64_t across = 1, column_step = 0;
  std::int64_t down = 1, row_step = 0, image_step = 0;
};

/// Rows of float32 times a packed weight, y = min(max(x W + b, low), high). The values of a row lie in
/// `segments` pieces of `length` floats, piece s at `offsets[s]` from where the row begins.
struct Product {
  const float* x = nullptr;
  Grid from;  ///< rows of x
  const std::int64_t* offsets = nullptr;
  std::int64_t segments = 1, length = 0;
  const float* weight = nullptr;  ///< [panels, segments * length, width]
  const float* bias = nullptr;    ///< [panels * width]
  const float* other = nullptr;  ///< added first where there is one: [rows, outputs], without gaps
  float low = 0, high = 0;
  float* y = nullptr;
  Grid to;  ///< rows of y, of `outputs` floats each: {.image_step = outputs} for one after the other
  std::int64_t outputs = 0;
};

/// A convolution of each channel by itself, channels-last: x [images, height, width, channels] -> y [images, out_height,
/// out_width, channels], of at least `width` channels (see Kernels).
struct Depthwise {
  const float* x = nullptr;
  std::int64_t height = 0, width = 0, channels = 0;
  std::int64_t kernel_height = 0, kernel_width = 0, stride_height = 0, stride_width = 0, pad_height = 0, pad_width = 0, dilation_height = 0, dilation_width = 0;
  const float* weight = nullptr;  ///< [kernel_height, kernel_width, channels]
  const float* bias = nullptr;    ///< [channels]
  float low = 0, high = 0;
  float* y = nullptr;
  std::int64_t out_height = 0, out_width = 0;
};

/// y = min(max(scale x + shift, low), high), channels last: x and y [pixels, channels].
struct Affine {
  const float* x = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;
  float low = 0, high = 0;
  float* y = nullptr;
  std::int64_t channels = 0;
};

/// The largest of each window, channels-last: x [images, depth, height, width, channels] -> y [images, out_depth, out_height,
/// out_width, channels]. Every window has a pixel of the image. A NaN is the largest.
struct MaxPool {
  const float* x = nullptr;
  std::int64_t depth = 1, kernel_depth = 1, stride_depth = 1, pad_depth = 0, out_depth = 1;  ///< as they are in two dimensions
  std::int64_t height = 0, width = 0, channels = 0;
  std::int64_t kernel_height = 0, kernel_width = 0, stride_height = 0, stride_width = 0, pad_height = 0, pad_width = 0;
  float* y = nullptr;
  std::int64_t out_height = 0, out_width = 0;
};

enum class Activation { kGelu, kGeluTanh, kSilu, kSigmoid, kTanh };

/// One direction of an LSTM layer (Hochreiter and Schmidhuber, 1997, as torch.nn.LSTM writes it) over a whole sequence.
struct Lstm {
  const float* inputs = nullptr;  ///< x W + b of each step: [steps, rows, 4 hidden], for i, f, g, o
  const float* weight = nullptr;  ///< of the state, packed as for Product
  const float* zeros = nullptr;   ///< as Product's bias
  const float* h = nullptr;       ///< the first state [rows, hidden]
  float* c = nullptr;             ///< the first cell, and then the last [rows, hidden]
  float* gates = nullptr;         ///< room for [rows, 4 hidden]
  float* y = nullptr;             ///< the state of row r after step t goes to y + t y_step + r y_row
  std::int64_t y_step = 0, y_row = 0;
  std::int64_t steps = 0, rows = 0, hidden = 0;
  bool reversed = false;
};

/// A convolution of 3 x 3 in steps of 1, channels-last, the way of Winograd (F(2 x 2, 3 x 3) in Lavin and Gray, "Fast
/// Algorithms for Convolutional Neural Networks", 2015): four of its values take 16 products for each channel rather than 36.
/// A tile is 4 x 4 of the input and 2 x 2 of the result; tiles are counted through all images. Inputs and outputs are
/// multiples of `width` (see Kernels).
struct Winograd {
  const float* x = nullptr;      ///< [images, height, width, inputs]
  std::int64_t height = 0, width = 0, inputs = 0, pad_height = 0, pad_width = 0;
  std::int64_t tiles_down = 0, tiles_across = 0;
  const float* zeros = nullptr;  ///< [inputs]
  const float* bias = nullptr;   ///< [outputs]
  const float* other = nullptr;  ///< added before the bounds where there is one, as y
  float low = 0, high = 0;
  float* y = nullptr;            ///< [images, out_height, out_width, outputs]
  std::int64_t out_height = 0, out_width = 0, outputs = 0;
};

/// One operation on every value: of a, or of a and b.
enum class Pointwise {
  kAffine,  ///< p a + q
  kAdd,     ///< a + p b
  kMultiply, kDivide,
  kDivideByNumber,  ///< a / p
  kDivideNumber,    ///< p / a
  kBounds,  ///< a between p and q
  kSquare, kReciprocal, kRoot, kSize, kExponential, kErrorFunction, kGelu, kGeluTanh, kSilu, kSigmoid, kTanh
};

struct PointwiseStep {
  Pointwise operation = Pointwise::kAffine;
  int a = 0, b = 0;  ///< inputs, and behind them the steps
  float p = 1, q = 0;
};

/// Of the result's value k, the input's is k / every * length + k % length; all of them one by one where `length` is 0.
struct PointwiseInput {
  const float* values = nullptr;
  std::int64_t length = 0, every = 1;
};

inline constexpr std::int64_t kPointwiseBlock = 512;  ///< values that all steps take before the next
inline constexpr std::int64_t kMostPointwise = 32;    ///< inputs and steps of a chain

/// Steps one after another on each block of values; the last one's are y.
struct PointwiseChain {
  const PointwiseInput* inputs = nullptr;
  std::int64_t input_count = 0;
  const PointwiseStep* steps = nullptr;
  std::int64_t step_count = 0;
  float* y = nullptr;
};

/// How the values of a linear layer's weight are kept. What is computed is float32, but for EightBits.
enum class Kept { kFloat32, kBFloat16, kInt8 };

/// Values of one output, for inputs in a row, that a word of 32 bits holds, the first in its lowest bits.
constexpr std::int64_t values_of_word(Kept kept) { return kept == Kept::kInt8 ? 4 : kept == Kept::kBFloat16 ? 2 : 1; }

inline constexpr std::int64_t kMostWidened = 4;  ///< panels that are widened at a time

/// Rows of float32 times a packed weight, y = min(max(scale (x W) + bias + other, low), high). A row's sums are made in the same
/// order whatever other rows there are.
struct Linear {
  Kept kept = Kept::kFloat32;
  const float* x = nullptr;            ///< [rows, inputs]
  const std::int32_t* weight = nullptr;  ///< [panels, words of the inputs, width]; of float32 the bits
  const float* scale = nullptr;        ///< [panels * width]: of kInt8 what a value is worth, divided by 2^24
  const float* bias = nullptr;         ///< [panels * width]
  const float* other = nullptr;        ///< where there is one, as y
  float low = 0, high = 0;
  float* y = nullptr;                  ///< [rows, outputs]
  std::int64_t inputs = 0, outputs = 0;
};

/// softmax(scale q k^T) v, each query by itself; heads of keys and values serve as many heads of queries in a row each. The
/// last axis of all lies in one piece. Places that `mask` hides, and those behind the last that it shows, count for nothing.
struct OneQuery {
  const float* q = nullptr;
  std::int64_t q_row = 0, q_head = 0, q_query = 0;
  const float* k = nullptr;
  std::int64_t k_row = 0, k_head = 0, k_place = 0;
  const float* v = nullptr;
  std::int64_t v_row = 0, v_head = 0, v_place = 0;
  const unsigned char* mask = nullptr;  ///< where there is one: 0 hides a place, and shows one at least
  std::int64_t mask_row = 0, mask_head = 0, mask_query = 0;
  float scale = 1;
  float* y = nullptr;  ///< [rows, queries, heads, value_size]
  std::int64_t queries = 1, heads = 0, kv_heads = 0, places = 0, size = 0, value_size = 0;
};

/// Kernels of our own, for layers that are over before oneDNN has begun, and where it is slow for those that are not;
/// the same code, compiled for the vectors that a processor may have.
struct Kernels {
  std::int64_t width;  ///< floats in a vector, and so outputs in a panel of a packed weight
  std::int64_t most_products;  ///< multiplications of a linear layer beyond which oneDNN is faster
  bool convolves;  ///< faster than oneDNN, however large the convolution
  void (*multiply)(const Product& product, std::int64_t first_row, std::int64_t last_row);
  /// The panels' outputs of the rows; `room` holds kMostWidened * inputs * width floats, where there are more rows than a few.
  void (*linear)(const Linear& linear, std::int64_t first_row, std::int64_t last_row, std::int64_t first_panel, std::int64_t last_panel, float* room);
  /// Lines of y from `first` to `last`, counted through all images.
  void (*depthwise)(const Depthwise& depthwise, std::int64_t first, std::int64_t last);
  void (*lstm)(const Lstm& lstm, std::int64_t first_row, std::int64_t last_row);
  /// In place.
  void (*activate)(Activation activation, float* y, std::int64_t count);
  /// Values of y from `first` to `last`; `registers` holds kPointwiseBlock floats for each input and step.
  void (*pointwise)(const PointwiseChain& chain, std::int64_t first, std::int64_t last, float* registers);
  /// Queries from `first` to `last`, counted through all rows and heads; `scores` holds as many floats as there are places, and a vector.
  void (*attend)(const OneQuery& query, std::int64_t first, std::int64_t last, float* scores);
  void (*affine)(const Affine& affine, std::int64_t first_pixel, std::int64_t last_pixel);
  /// Lines of y from `first` to `last`, counted through all images; `line` holds width * channels floats.
  void (*max_pool)(const MaxPool& pool, std::int64_t first, std::int64_t last, float* line);
  /// What the tiles' pixels become, at `spread` [16, room, inputs].
  void (*winograd_spread)(const Winograd& winograd, std::int64_t first_tile, std::int64_t last_tile, float* spread, std::int64_t room);
  /// The result of the tiles from their 16 products [16, room, outputs].
  void (*winograd_gather)(const Winograd& winograd, std::int64_t first_tile, std::int64_t last_tile, const float* products, std::int64_t room);
};

/// Those for this processor.
const Kernels& kernels();

#if defined(__x86_64__)
extern const Kernels kAvx2;
extern const Kernels kAvx512;
#endif
extern const Kernels kBase;

}  // namespace portfire::graph::direct
