#include "serving/crew.h"

#include <algorithm>
#include <exception>
#include <future>
#include <utility>

#include "core/thread_limit.h"

namespace portfire::serving {
namespace {

/// One piece that somebody waits for.
class Turn final : public Work {
 public:
  Turn(bool is_long, const std::function<void(int)>& what) : long_(is_long), what_(what) {}

  Clock::time_point step(int processors) noexcept override {
    std::exception_ptr thrown;
    try {
      what_(processors);
    } catch (...) {
      thrown = std::current_exception();
    }
    done_.set_value(thrown);
    return Clock::time_point::max();
  }
  bool is_long() const noexcept override { return long_; }
  std::exception_ptr wait() { return done_.get_future().get(); }

 private:
  const bool long_;
  const std::function<void(int)>& what_;
  std::promise<std::exception_ptr> done_;
};

}  // namespace

Crew::Crew(int processors) : processors_(std::max(processors, 1)), idle_(static_cast<std::size_t>(processors_), false) {
  for (int k = 0; k < processors_; ++k) wake_.push_back(std::make_unique<std::condition_variable>());
  for (int k = 0; k < processors_; ++k) threads_.emplace_back([this, k] { work(k); });
}

Crew::~Crew() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& one : wake_) one->notify_one();
  }
  for (std::thread& thread : threads_) thread.join();
}

void Crew::post(std::shared_ptr<Work> work, Clock::time_point not_before) {
  const std::lock_guard lock(mutex_);
  waiting_.emplace(std::max(not_before, Clock::now()), std::move(work));
  wake_one();
}

void Crew::run(bool is_long, const std::function<void(int)>& what) {
  const auto turn = std::make_shared<Turn>(is_long, what);
  post(turn);
  if (const std::exception_ptr thrown = turn->wait()) std::rethrow_exception(thrown);
}

void Crew::wake_one() {
  if (has_all_) return;  // who has them wakes the next
  const auto found = std::find(idle_.begin(), idle_.end(), true);
  if (found == idle_.end()) return;
  *found = false;
  wake_[static_cast<std::size_t>(found - idle_.begin())]->notify_one();
}

std::shared_ptr<Work> Crew::take(Clock::time_point now) {
  if (has_all_ || waiting_.empty() || waiting_.begin()->first > now) return nullptr;
  std::shared_ptr<Work> work = std::move(waiting_.begin()->second);
  waiting_.erase(waiting_.begin());
  return work;
}

void Crew::work(int thread) {
  std::condition_variable& wake = *wake_[static_cast<std::size_t>(thread)];
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const Clock::time_point now = Clock::now();
    std::shared_ptr<Work> work = take(now);
    if (work == nullptr) {
      idle_[static_cast<std::size_t>(thread)] = true;
      if (waiting_.empty() || has_all_) {
        wake.wait(lock);
      } else {
        const Clock::time_point first = waiting_.begin()->first;  // a copy: another thread may take it meanwhile
        wake.wait_until(lock, first);
      }
      idle_[static_cast<std::size_t>(thread)] = false;
      continue;
    }
    const bool others_wait = !waiting_.empty() && waiting_.begin()->first <= now;
    has_all_ = thread == 0 && running_ == 0 && !others_wait && processors_ > 1 && work->is_long();
    const int processors = has_all_ ? processors_ : 1;
    if (!waiting_.empty()) wake_one();  // also for what is not due yet: somebody must be up when it is
    ++running_;
    lock.unlock();
    Clock::time_point again;
    {
      const ThreadLimit limit(processors);
      again = work->step(processors);
    }
    if (again == Clock::time_point::max()) work.reset();  // which may end a model: not under the lock
    lock.lock();
    --running_;
    const bool had_all = std::exchange(has_all_, false);
    if (work != nullptr) {
      // The first thread may give a long piece all processors, so it has a chance to take the next.
      const bool is_for_first = thread != 0 && idle_[0] && work->is_long();
      waiting_.emplace(std::max(again, Clock::now()), std::move(work));
      if (is_for_first) {
        idle_[0] = false;
        wake_[0]->notify_one();
        lock.unlock();
        std::this_thread::yield();
        lock.lock();
      }
    }
    // This thread takes the first that waits; others came while it held all.
    if (had_all) {
      for (std::size_t k = 1; k < waiting_.size(); ++k) wake_one();
    }
  }
}

}  // namespace portfire::serving
