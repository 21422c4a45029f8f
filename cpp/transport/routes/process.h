#pragma once

#include <cstdint>

namespace portfire::routes {

/// What the kernel says of this process. 0 where it does not say.
struct ProcessStats {
  std::int64_t resident_bytes = 0;
  std::int64_t virtual_bytes = 0;
  double cpu_seconds = 0;    ///< of all threads, in user space and in the kernel
  double start_seconds = 0;  ///< since 1970
  std::int64_t open_files = 0;
  std::int64_t max_files = 0;
  std::int64_t threads = 0;
};

ProcessStats process_stats();

}  // namespace portfire::routes
