#include "core/cpu_budget.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include <portfire/model.h>

namespace portfire {
namespace {

int affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int smaller(int a, int b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

/// The tightest quota from this process's cgroup up to the root (v2), or version 1's; 0 when there is none.
int quota() {
  int least = 0;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::")) continue;
    for (std::string path = line.substr(3); !path.empty(); path.resize(path.rfind('/'))) {
      least = smaller(least, processors_of_cpu_max(first_line("/sys/fs/cgroup" + path + "/cpu.max")));
    }
  }
  least = smaller(least, processors_of_cpu_max(first_line("/sys/fs/cgroup/cpu.max")));
  const std::string v1 = "/sys/fs/cgroup/cpu/cpu.cfs_";
  return smaller(least, processors_of_cpu_max(first_line(v1 + "quota_us") + " " + first_line(v1 + "period_us")));
}

}  // namespace

int processors_of_cpu_max(std::string_view line) {
  std::istringstream in{std::string(line)};
  long long granted = 0;
  long long period = 0;
  if (!(in >> granted >> period) || granted <= 0 || period <= 0) return 0;
  return static_cast<int>((granted + period - 1) / period);
}

int cpu_budget() {
  static const int budget = std::max(1, smaller(affinity(), quota()));
  return budget;
}

}  // namespace portfire
