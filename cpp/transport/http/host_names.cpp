#include "transport/http/host_names.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::http {
namespace {

constexpr std::size_t kLongestName = 253;  // RFC 1035

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

bool is_name(std::string_view text) {
  const auto fits = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_'; };
  return !text.empty() && text.size() <= kLongestName && std::all_of(text.begin(), text.end(), fits);
}

bool is_v6(const std::string& text) {
  in6_addr parsed{};
  return ::inet_pton(AF_INET6, text.c_str(), &parsed) == 1;
}

/// "a.example" of "A.example.:8000", "::1" of "[::1]:8000"; "" of what is neither.
std::string name_in(std::string_view host) {
  const bool is_bracketed = host.starts_with('[');
  const std::size_t end = is_bracketed ? host.find(']') : std::min(host.find(':'), host.size());
  if (end == std::string_view::npos) return {};
  const std::string_view port = host.substr(is_bracketed ? end + 1 : end);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!port.empty() && (port[0] != ':' || !std::all_of(port.begin() + 1, port.end(), is_digit))) return {};
  std::string name = lower(is_bracketed ? host.substr(1, end - 1) : host.substr(0, end));
  if (is_bracketed) return is_v6(name) ? name : std::string();
  if (name.ends_with('.')) name.pop_back();
  return is_name(name) ? name : std::string();
}

}  // namespace

bool is_loopback(std::string_view address) {
  const std::string text(address);
  in_addr v4{};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  in6_addr v6{};
  if (::inet_pton(AF_INET6, text.c_str(), &v6) != 1) return false;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

HostNames::HostNames(const std::vector<std::string>& others) {
  for (const std::string& other : others) {
    const std::string name = lower(other);
    if (!is_name(name) && !is_v6(name)) throw Error(ErrorCode::kInvalidArgument, cat(quoted(other), " is no host's name; a name or an address is needed, without scheme and port: models.example"));
    others_.push_back(name);
  }
}

bool HostNames::has(std::string_view host) const {
  if (host.empty()) return true;
  const std::string name = name_in(host);
  if (name.empty()) return false;
  return name == "localhost" || name.ends_with(".localhost") || is_loopback(name) || std::find(others_.begin(), others_.end(), name) != others_.end();
}

}  // namespace portfire::http
