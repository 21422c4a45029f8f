#pragma once

#include <string_view>

namespace portfire {

/// Processors that a cgroup v2 `cpu.max` line grants, rounded up; 0 for "max" or for text that is none.
int processors_of_cpu_max(std::string_view line);

}  // namespace portfire
