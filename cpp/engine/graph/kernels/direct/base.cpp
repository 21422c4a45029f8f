#define PORTFIRE_VECTOR_BYTES 16
#include "engine/graph/kernels/direct/code.h"

const Kernels kBase{.width = kWidth, .most_products = 1 << 21, .multiply = multiply, .depthwise = depthwise, .lstm = lstm, .activate = activate, .affine = affine, .max_pool = max_pool};

}  // namespace portfire::graph::direct
