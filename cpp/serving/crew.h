#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace portfire::serving {

using Clock = std::chrono::steady_clock;

/// Something that is done piece by piece, so that others have their turn between.
class Work {
 public:
  virtual ~Work() = default;
  Work() = default;
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  /// Does one piece on at most `processors` of them. Gives when the next may begin: `Clock::time_point::max()` for never.
  /// Must not throw.
  virtual Clock::time_point step(int processors) noexcept = 0;
  /// True when a piece is long enough to gain from several processors.
  virtual bool is_long() const noexcept = 0;
};

/// Runs the calls of all models on as many threads as there are processors to use, in the order in which they were asked for.
/// A long piece gets all processors while nothing else waits, and others then wait for it; otherwise each has one. So no more
/// threads compute than there are processors, however many models there are. Several processors are only ever given to the
/// first thread: OpenMP keeps a team of threads for each thread that calls it, and with two teams neither spins.
/// Thread-safe.
class Crew {
 public:
  explicit Crew(int processors);
  /// Ends after the pieces that run; what waits is dropped.
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  [[nodiscard]] int processors() const noexcept { return processors_; }
  void post(std::shared_ptr<Work> work, Clock::time_point not_before = Clock::time_point::min());
  /// Does `what` in its turn, and waits for it. Throws what that throws. Not from a thread of the crew.
  void run(bool is_long, const std::function<void(int processors)>& what);

 private:
  void work(int thread);
  /// What may begin now, or nothing; to be asked under the lock.
  std::shared_ptr<Work> take(Clock::time_point now);
  void wake_one();

  const int processors_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<std::condition_variable>> wake_;  ///< one for each thread
  std::vector<bool> idle_;
  std::multimap<Clock::time_point, std::shared_ptr<Work>> waiting_;  ///< by when it may begin
  int running_ = 0;
  bool has_all_ = false;  ///< a long piece runs on all processors
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace portfire::serving
