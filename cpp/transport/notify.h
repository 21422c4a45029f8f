#pragma once

#include <chrono>
#include <string_view>

namespace portfire::service {

/// Tells the service manager (systemd's notify protocol), "READY=1" say: one datagram to the socket that $NOTIFY_SOCKET names, by its
/// path or, with '@' before it, by its abstract name. Gives false, at once, where there is none or where it takes nothing now.
bool notify(std::string_view state) noexcept;

/// Twice in the time after which the service manager takes a service that says nothing for dead; 0: it waits for nothing.
std::chrono::microseconds watchdog_interval() noexcept;

/// Speaks to the service manager from the thread that must come round for the service to be well. Of one thread.
class Heartbeat {
 public:
  /// To be called a few times a second. Says READY=1 at the first that is `ready`, and WATCHDOG=1 where that is waited for.
  void beat(bool ready) noexcept;

 private:
  const std::chrono::microseconds interval_ = watchdog_interval();
  std::chrono::steady_clock::time_point next_{};
  bool told_ = false;
};

}  // namespace portfire::service
