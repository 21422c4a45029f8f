#define PORTFIRE_VECTOR_BYTES 16
#include "engine/graph/kernels/direct/code.h"

const Kernels kBase{.width = kWidth, .most_products = 1 << 21, .convolves = false, .multiply = multiply, .linear = linear, .depthwise = depthwise, .lstm = lstm, .activate = activate, .pointwise = pointwise, .attend = attend, .affine = affine, .max_pool = max_pool, .winograd_spread = winograd_spread, .winograd_gather = winograd_gather};

}  // namespace portfire::graph::direct
