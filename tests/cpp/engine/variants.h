#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/graph/kernels/direct/direct.h"

namespace portfire::graph::direct {

/// OpenMP's threads are not instrumented: to ThreadSanitizer all they do is a race.
#if defined(__SANITIZE_THREAD__)
inline constexpr int kMostThreads = 1;
#else
inline constexpr int kMostThreads = 2;
#endif

/// The kernels that this processor can run.
inline std::vector<std::pair<std::string, const Kernels*>> variants() {
  std::vector<std::pair<std::string, const Kernels*>> found{{"base", &kBase}};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.emplace_back("avx2", &kAvx2);
  if (__builtin_cpu_supports("avx512f")) found.emplace_back("avx512", &kAvx512);
#endif
  return found;
}

}  // namespace portfire::graph::direct
