#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace portfire::http {

/// "127.0.0.1", "::1": of this machine alone.
bool is_loopback(std::string_view address);

/// The names that a server for this machine alone goes by. The page of another site may have that site's name point here (DNS
/// rebinding): to a browser it is this server's own page then, but its requests still have that site's name as their Host.
class HostNames {
 public:
  /// localhost and what ends in .localhost, loopback addresses, and `others`: names or addresses, without a port. Throws
  /// kInvalidArgument on what is none.
  explicit HostNames(const std::vector<std::string>& others = {});

  /// `host` is a Host header's value, with a port or without. An empty one is had too: browsers always send a name.
  [[nodiscard]] bool has(std::string_view host) const;

 private:
  std::vector<std::string> others_;  ///< in lower case
};

}  // namespace portfire::http
