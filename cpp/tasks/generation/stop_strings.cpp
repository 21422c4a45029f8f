#include "tasks/generation/stop_strings.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace portfire {

std::string StopStrings::push(const std::string& part) {
  if (found_) return "";
  held_ += part;
  std::size_t at = std::string::npos;
  for (const std::string& stop : stops_) at = std::min(at, held_.find(stop));
  if (at != std::string::npos) {
    found_ = true;
    return std::exchange(held_, {}).substr(0, at);
  }
  std::size_t kept = 0;  // bytes at the end that a stop string may begin with
  for (const std::string& stop : stops_) {
    for (std::size_t size = std::min(stop.size() - 1, held_.size()); size > kept; --size) {
      if (std::string_view(held_).ends_with(std::string_view(stop).substr(0, size))) {
        kept = size;
        break;
      }
    }
  }
  std::string certain = held_.substr(0, held_.size() - kept);
  held_.erase(0, held_.size() - kept);
  return certain;
}

std::string StopStrings::finish() { return std::exchange(held_, {}); }

}  // namespace portfire
