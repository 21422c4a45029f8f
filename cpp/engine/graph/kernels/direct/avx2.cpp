#if defined(__x86_64__)
#define PORTFIRE_VECTOR_BYTES 32
#include "engine/graph/kernels/direct/code.h"

const Kernels kAvx2{.width = kWidth, .multiply = multiply, .lstm = lstm, .affine = affine, .max_pool = max_pool};

}  // namespace portfire::graph::direct
#endif
