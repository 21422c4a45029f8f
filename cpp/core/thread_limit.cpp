#include "core/thread_limit.h"

#include <utility>

namespace portfire {
namespace {

thread_local int current = 0;

}  // namespace

ThreadLimit::ThreadLimit(int most) noexcept : before_(std::exchange(current, most)) {}

ThreadLimit::~ThreadLimit() { current = before_; }

int thread_limit() noexcept { return current; }

}  // namespace portfire
