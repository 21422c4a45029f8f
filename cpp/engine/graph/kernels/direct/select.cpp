#include "engine/graph/kernels/direct/direct.h"
#include "engine/graph/kernels/direct/eight_bits.h"

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

const EightBits* eight_bits() {
#if defined(__x86_64__)
  static const bool found = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  return found && kVnni.width == kernels().width ? &kVnni : nullptr;
#else
  return nullptr;
#endif
}

}  // namespace portfire::graph::direct
