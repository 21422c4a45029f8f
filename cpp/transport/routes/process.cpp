#include "transport/routes/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace portfire::routes {
namespace {

std::string read_all(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Seconds since 1970 at which the machine started.
double boot_seconds() {
  std::istringstream lines(read_all("/proc/stat"));
  std::string word;
  while (lines >> word) {
    double value = 0;
    if (word == "btime" && lines >> value) return value;
  }
  return 0;
}

}  // namespace

ProcessStats process_stats() {
  static const double boot = boot_seconds();
  ProcessStats stats;
  // proc(5): the second field is the program's name in parentheses, which may hold anything.
  const std::string text = read_all("/proc/self/stat");
  const std::size_t name_end = text.rfind(')');
  if (name_end != std::string::npos) {
    std::istringstream fields(text.substr(name_end + 1));
    const std::vector<std::string> all{std::istream_iterator<std::string>(fields), {}};  // all[0] is field 3
    const auto field = [&](std::size_t number) { return number - 3 < all.size() ? std::strtod(all[number - 3].c_str(), nullptr) : 0; };
    const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    stats.cpu_seconds = (field(14) + field(15)) / ticks;
    stats.threads = static_cast<std::int64_t>(field(20));
    stats.start_seconds = boot > 0 ? boot + field(22) / ticks : 0;
    stats.virtual_bytes = static_cast<std::int64_t>(field(23));
    stats.resident_bytes = static_cast<std::int64_t>(field(24)) * sysconf(_SC_PAGESIZE);
  }
  std::error_code failed;
  for (std::filesystem::directory_iterator at("/proc/self/fd", failed), end; !failed && at != end; at.increment(failed)) ++stats.open_files;
  if (stats.open_files > 0) --stats.open_files;  // the one that was opened to look
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) stats.max_files = static_cast<std::int64_t>(limit.rlim_cur);
  return stats;
}

}  // namespace portfire::routes
