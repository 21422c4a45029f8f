#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace portfire::routes {

/// "/v2/models/a%20b/infer?x=1", taken apart.
struct Target {
  std::vector<std::string> path;                          ///< {"v2", "models", "a b", "infer"}
  std::map<std::string, std::string, std::less<>> query;  ///< the last of several of one name
};

/// Also of "http://host/v2", of which the host is passed over. Throws kInvalidInput on other targets that do not begin with '/', on percent signs without two digits, and on control characters.
Target target_of(std::string_view text);

}  // namespace portfire::routes
