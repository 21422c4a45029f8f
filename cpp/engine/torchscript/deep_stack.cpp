#include "engine/torchscript/deep_stack.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <exception>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::torchscript {
namespace {

[[noreturn]] void no_room(std::size_t bytes) {
  throw Error(ErrorCode::kResourceExhausted, cat("no address space for a stack of ", human_bytes(static_cast<double>(bytes)),
                                                 "; is it limited (ulimit -v)?"));
}

/// Address space with a page at its lower end that nobody may touch.
class Stack {
 public:
  explicit Stack(std::size_t bytes) : bytes_(bytes) {
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    memory_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, kFlags, -1, 0);
    if (memory_ == MAP_FAILED) no_room(bytes_);
    ::mprotect(memory_, static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)), PROT_NONE);
  }
  ~Stack() { ::munmap(memory_, bytes_); }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  [[nodiscard]] void* memory() const { return memory_; }

 private:
  std::size_t bytes_;
  void* memory_;
};

struct Call {
  const std::function<void()>& body;
  std::exception_ptr thrown;

  static void* run(void* context) {
    auto* const call = static_cast<Call*>(context);
    try {
      call->body();
    } catch (...) {
      call->thrown = std::current_exception();
    }
    return nullptr;
  }
};

}  // namespace

void on_deep_stack(std::size_t stack_bytes, const std::function<void()>& body) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  stack_bytes = (stack_bytes + page - 1) / page * page;
  const Stack stack(stack_bytes);
  Call call{body, nullptr};
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  pthread_t thread{};
  const bool started = ::pthread_attr_setstack(&attributes, stack.memory(), stack_bytes) == 0 &&
                       ::pthread_create(&thread, &attributes, &Call::run, &call) == 0;
  ::pthread_attr_destroy(&attributes);
  if (!started) no_room(stack_bytes);
  ::pthread_join(thread, nullptr);
  if (call.thrown) std::rethrow_exception(call.thrown);
}

}  // namespace portfire::torchscript
