#include "serving/watcher.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include <portfire/error.h>

namespace portfire::serving {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kChanges = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB;

constexpr std::int64_t kLongestPoll = 3600'000;  // milliseconds

}  // namespace

Watcher::Watcher(Repository& repository, WatcherOptions options, std::function<void(const std::string&)> log)
    : repository_(repository), options_(std::move(options)), log_(std::move(log)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (wake_ < 0) throw Error(ErrorCode::kIo, "no eventfd is to be had: too many open files");
  if (options_.watches) inotify_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  thread_ = std::thread([this] { work(); });
}

Watcher::~Watcher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  eventfd_write(wake_, 1);
  thread_.join();
  close(wake_);
  if (inotify_ >= 0) close(inotify_);
}

void Watcher::post(std::function<void()> what) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(what));
  }
  eventfd_write(wake_, 1);
}

void Watcher::refresh(bool at_once) {
  watch_folders();  // before the look: what changes after it is reported
  looked_ = Clock::now();
  try {
    left_ = repository_.refresh(at_once);
    last_failure_.clear();
  } catch (const std::exception& error) {
    left_ = false;
    if (last_failure_ != error.what()) log_(error.what());
    last_failure_ = error.what();
  }
}

void Watcher::watch_folders() {
  if (inotify_ < 0) return;
  // Folders that are watched already stay as they are. The least depth at which a package's file can lie is enough.
  std::error_code error;
  const auto add = [&](const fs::path& path) { return inotify_add_watch(inotify_, path.c_str(), kChanges | IN_ONLYDIR); };
  add(fs::is_directory(options_.folder, error) ? fs::path(options_.folder) : fs::path(options_.folder).parent_path());
  for (fs::directory_iterator at(options_.folder, error); !error && at != fs::directory_iterator(); at.increment(error)) {
    std::error_code gone;
    if (!at->is_directory(gone) || add(at->path()) < 0) continue;
    for (fs::directory_iterator version(at->path(), gone); !gone && version != fs::directory_iterator(); version.increment(gone)) {
      std::error_code away;
      if (version->is_directory(away)) add(version->path());
    }
  }
}

bool Watcher::wait() {
  // What was left at the last look must then have been left alone for as long: what is reported meanwhile makes no look.
  const bool hears = inotify_ >= 0 && !left_;
  std::array<pollfd, 2> sources{{{wake_, POLLIN, 0}, {inotify_, POLLIN, 0}}};
  const auto rest = std::chrono::ceil<std::chrono::milliseconds>(looked_ + (left_ ? options_.debounce : options_.look_every) - Clock::now());
  poll(sources.data(), hears ? 2 : 1, options_.watches ? static_cast<int>(std::clamp<std::int64_t>(rest.count(), 0, kLongestPoll)) : -1);
  eventfd_t count = 0;
  eventfd_read(wake_, &count);
  if (!options_.watches) return false;
  const bool changed = hears && (sources[1].revents & POLLIN) != 0;
  const bool due = Clock::now() >= looked_ + (left_ ? options_.debounce : options_.look_every);
  if (!changed && !due) return false;
  std::array<char, 4096> events{};
  while (inotify_ >= 0 && read(inotify_, events.data(), events.size()) > 0) {
  }
  return true;
}

void Watcher::work() {
  refresh(true);
  while (true) {
    std::deque<std::function<void()>> todo;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      todo = std::exchange(posted_, {});
    }
    for (const auto& one : todo) one();
    if (!todo.empty()) continue;
    if (wait()) refresh(false);
  }
}

}  // namespace portfire::serving
