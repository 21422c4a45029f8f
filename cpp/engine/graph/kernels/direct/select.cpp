#include "engine/graph/kernels/direct/direct.h"

namespace portfire::graph::direct {

const Kernels& kernels() {
#if defined(__x86_64__)
  static const Kernels& found = __builtin_cpu_supports("avx512f")                               ? kAvx512
                                : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? kAvx2
                                                                                                  : kBase;
  return found;
#else
  return kBase;
#endif
}

}  // namespace portfire::graph::direct
