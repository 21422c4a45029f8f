#if defined(__x86_64__)
#define PORTFIRE_VECTOR_BYTES 32
#include "engine/graph/kernels/direct/code.h"

const Kernels kAvx2{.width = kWidth, .most_products = 1 << 30, .convolves = true, .multiply = multiply, .linear = linear, .depthwise = depthwise, .lstm = lstm, .activate = activate, .pointwise = pointwise, .attend = attend, .affine = affine, .max_pool = max_pool, .winograd_spread = winograd_spread, .winograd_gather = winograd_gather};

}  // namespace portfire::graph::direct
#endif
