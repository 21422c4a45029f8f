#include "transport/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace portfire::service {
namespace {

/// The number in an environment variable; 0 where there is none.
std::int64_t number_in(const char* variable) noexcept {
  const char* text = std::getenv(variable);
  std::int64_t number = 0;
  if (text == nullptr) return 0;
  const char* end = text + std::strlen(text);
  const auto read = std::from_chars(text, end, number);
  return read.ec == std::errc() && read.ptr == end && number > 0 ? number : 0;
}

}  // namespace

bool notify(std::string_view state) noexcept {
  const char* named = std::getenv("NOTIFY_SOCKET");
  const std::string_view name = named == nullptr ? std::string_view() : named;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() < 2 || name.size() >= sizeof address.sun_path || (name[0] != '/' && name[0] != '@')) return false;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';
  const int handle = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (handle < 0) return false;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  const ssize_t sent = ::sendto(handle, state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address), length);
  ::close(handle);
  return sent == static_cast<ssize_t>(state.size());
}

std::chrono::microseconds watchdog_interval() noexcept {
  const std::int64_t whose = number_in("WATCHDOG_PID");  // of the process that is meant; a child inherits the variables
  if (whose != 0 && whose != ::getpid()) return {};
  return std::chrono::microseconds(number_in("WATCHDOG_USEC") / 2);
}

void Heartbeat::beat(bool ready) noexcept {
  if (ready && !told_) told_ = notify("READY=1\nSTATUS=answering") || std::getenv("NOTIFY_SOCKET") == nullptr;
  const auto now = std::chrono::steady_clock::now();
  if (interval_.count() > 0 && now >= next_ && notify("WATCHDOG=1")) next_ = now + interval_;
}

}  // namespace portfire::service
