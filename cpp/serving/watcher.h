#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "serving/repository.h"

namespace portfire::serving {

struct WatcherOptions {
  std::string folder;
  bool watches = true;                           ///< else only what is posted is done
  std::chrono::milliseconds debounce{300};       ///< files must have been left alone so long before they are loaded
  std::chrono::seconds look_every{10};           ///< also where no change was reported: network file systems report none
};

/// A thread on which all loading is done: it looks at the folder at once, then whenever the kernel (inotify) reports a change
/// there, and does what is posted in between.
class Watcher {
 public:
  /// Refers to `repository`. `log` is told, in one line, why the folder cannot be looked at.
  Watcher(Repository& repository, WatcherOptions options, std::function<void(const std::string&)> log);
  /// Ends after what is being loaded; what was posted and has not begun is dropped.
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  /// `what` must not throw. Thread-safe.
  void post(std::function<void()> what);

 private:
  void work();
  void refresh(bool at_once);
  /// Waits for something to do; true where the folder may have changed.
  bool wait();
  void watch_folders();

  Repository& repository_;
  const WatcherOptions options_;
  const std::function<void(const std::string&)> log_;
  int inotify_ = -1;
  int wake_ = -1;  ///< an eventfd
  Clock::time_point looked_;  ///< when the last look began
  bool left_ = false;         ///< it left something to the next
  std::string last_failure_;
  std::mutex mutex_;
  std::deque<std::function<void()>> posted_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace portfire::serving
