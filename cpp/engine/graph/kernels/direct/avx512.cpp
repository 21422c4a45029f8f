#if defined(__x86_64__)
#define PORTFIRE_VECTOR_BYTES 64
#include "engine/graph/kernels/direct/code.h"

const Kernels kAvx512{.width = kWidth, .most_products = std::int64_t{1} << 36, .convolves = false, .multiply = multiply, .linear = linear, .depthwise = depthwise, .lstm = lstm, .activate = activate, .pointwise = pointwise, .attend = attend, .affine = affine, .max_pool = max_pool, .winograd_spread = winograd_spread, .winograd_gather = winograd_gather};

}  // namespace portfire::graph::direct
#endif
