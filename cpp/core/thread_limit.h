#pragma once

namespace portfire {

/// While it lives, operators of any model that this thread calls take at most so many threads, whatever the model was
/// loaded with. Lives and ends on one thread; the innermost counts.
class ThreadLimit {
 public:
  explicit ThreadLimit(int most) noexcept;
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  int before_;
};

/// Of this thread; 0 where there is none.
int thread_limit() noexcept;

}  // namespace portfire
