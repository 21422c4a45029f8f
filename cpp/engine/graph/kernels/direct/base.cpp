#define PORTFIRE_VECTOR_BYTES 16
#include "engine/graph/kernels/direct/code.h"

const Kernels kBase{.width = kWidth, .multiply = multiply, .lstm = lstm, .affine = affine, .max_pool = max_pool};

}  // namespace portfire::graph::direct
