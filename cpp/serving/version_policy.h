#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace portfire::serving {

/// Which versions of a model are served: those listed, else the newest so many.
struct VersionPolicy {
  std::int64_t latest = 1;
  std::set<std::int64_t> listed{};
  bool operator==(const VersionPolicy&) const = default;
};

/// "digits=1,3" or "digits=latest:2", as the command line has it, to the model's name and its policy. Throws kInvalidArgument.
std::pair<std::string, VersionPolicy> version_policy_of(std::string_view text);

}  // namespace portfire::serving
