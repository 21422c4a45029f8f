#if defined(__x86_64__)
#define PORTFIRE_VECTOR_BYTES 32
#include "engine/graph/kernels/direct/code.h"

const Kernels kAvx2{.width = kWidth, .most_products = 1 << 30, .multiply = multiply, .depthwise = depthwise, .lstm = lstm, .activate = activate, .affine = affine, .max_pool = max_pool};

}  // namespace portfire::graph::direct
#endif
