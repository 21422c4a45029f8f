#include "engine/libtorch/kept_memory.h"

#include <c10/core/CPUAllocator.h>
#include <pthread.h>

#include <algorithm>
#include <cstdint>
#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace portfire::libtorch {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kLeastBytes = SIZE_MAX;
#else
constexpr std::size_t kLeastBytes = std::size_t{1} << 16;  // less, and glibc keeps it
#endif
constexpr std::size_t kStep = std::size_t{1} << 14;  // sizes are rounded up to, so that nearly the same are the same
constexpr std::uint64_t kCalls = 4;                  // that memory waits for, for each that runs

struct Block {
  at::DataPtr memory;
  std::size_t bytes = 0;
  std::uint64_t taken = 0;  ///< in which call
};
using Blocks = std::list<Block>;  // they go from list to list without an allocation, which could fail

/// All pools have one: they are asked for large tensors only. Never destroyed: tensors may be the last to go.
std::mutex& mutex() {
  static auto* const one = new std::mutex;
  return *one;
}

}  // namespace

/// What one model keeps.
class KeptMemory::Pool : public std::enable_shared_from_this<Pool> {
 public:
  static thread_local Pool* current;

  void* take(at::Allocator& source, std::size_t bytes) {
    Blocks block;
    const std::size_t rounded = (bytes + kStep - 1) / kStep * kStep;
    if (Blocks left = fitting(rounded, block); block.empty()) {
      left.clear();
      block.push_back({.memory = allocated(source, rounded), .bytes = rounded});
    }
    void* const data = block.front().memory.get();
    const std::lock_guard lock(mutex());
    taken().emplace(data, Taken{shared_from_this(), block.begin()});
    block.front().taken = calls_;
    out_bytes_ += block.front().bytes;
    peak_ = std::max(peak_, out_bytes_);
    out_.splice(out_.begin(), block);
    return data;
  }

  /// Of a tensor, or of memory that LibTorch asked for without one: from a pool, or else from `source`.
  static void give_back(void* data, at::DeleterFnPtr source) noexcept {
    Blocks old;  // freed without the lock, as is the pool
    std::shared_ptr<Pool> home;
    {
      const std::lock_guard lock(mutex());
      const auto found = taken().find(data);
      if (found != taken().end()) {
        home = std::move(found->second.home);
        const Blocks::iterator block = found->second.block;
        taken().erase(found);
        home->out_bytes_ -= block->bytes;
        Blocks& to = home->is_closed_ || home->is_old(*block) ? old : home->free_;
        to.splice(to.begin(), home->out_, block);
        return;
      }
    }
    source(data);
  }

  void begin() {
    const std::lock_guard lock(mutex());
    ++running_;
  }

  void end() noexcept {
    Blocks old;
    const std::lock_guard lock(mutex());
    ++calls_;
    for (auto at = free_.begin(); at != free_.end();) {
      const auto next = std::next(at);
      if (is_old(*at)) old.splice(old.begin(), free_, at);
      at = next;
    }
    if (--running_ == 0) {
      before_ = peak_;
      peak_ = out_bytes_;
    }
  }

  void close() noexcept {
    Blocks all;
    const std::lock_guard lock(mutex());
    is_closed_ = true;
    all.swap(free_);
  }

 private:
  struct Taken {
    std::shared_ptr<Pool> home;
    Blocks::iterator block;  ///< in its list `out_`
  };
  static std::unordered_map<void*, Taken>& taken() {
    static auto* const all = new std::unordered_map<void*, Taken>;
    return *all;
  }

  /// The smallest free block that is not much too large goes to `found`; if there is none, free ones go out until
  /// with the new one they are no more than twice what calls lately needed at once.
  Blocks fitting(std::size_t bytes, Blocks& found) {
    Blocks left;
    const std::lock_guard lock(mutex());
    auto best = free_.end();
    std::size_t free_bytes = 0;
    for (auto at = free_.begin(); at != free_.end(); ++at) {
      free_bytes += at->bytes;
      if (at->bytes >= bytes && at->bytes / 2 <= bytes && (best == free_.end() || at->bytes < best->bytes)) best = at;
    }
    if (best != free_.end()) {
      found.splice(found.begin(), free_, best);
      return left;
    }
    const std::size_t most = 2 * std::max({before_, peak_, out_bytes_ + bytes});
    while (!free_.empty() && out_bytes_ + free_bytes + bytes > most) {
      free_bytes -= free_.back().bytes;
      left.splice(left.begin(), free_, std::prev(free_.end()));  // the first that came
    }
    return left;
  }

  at::DataPtr allocated(at::Allocator& source, std::size_t bytes) {
    try {
      return source.allocate(bytes);
    } catch (const std::exception&) {  // perhaps there is enough without what is kept
      Blocks all;
      {
        const std::lock_guard lock(mutex());
        all.swap(free_);
      }
      if (all.empty()) throw;
    }
    return source.allocate(bytes);
  }

  bool is_old(const Block& block) const { return calls_ - block.taken > kCalls * (running_ + 1); }

  Blocks free_;  ///< the last that came is the first
  Blocks out_;   ///< tensors have them
  std::size_t out_bytes_ = 0;
  std::size_t peak_ = 0;    ///< of these, since no call ran
  std::size_t before_ = 0;  ///< the peak before
  std::uint64_t calls_ = 0;
  std::uint64_t running_ = 0;
  bool is_closed_ = false;
};

thread_local KeptMemory::Pool* KeptMemory::Pool::current = nullptr;

namespace {

/// Before LibTorch's own, which it asks for all that no call makes.
template <typename Pool>
class Allocator final : public at::Allocator {
 public:
  static at::Allocator& before() {
    static at::Allocator* const own = c10::GetCPUAllocator();
    return *own;
  }
  at::DataPtr allocate(std::size_t bytes) override {
    Pool* const pool = Pool::current;
    if (pool == nullptr || bytes < kLeastBytes) return before().allocate(bytes);
    void* const data = pool->take(before(), bytes);
    return {data, data, give_back, at::Device(at::kCPU)};
  }
  /// oneDNN's scratch memory is taken and given back without a tensor.
  at::DeleterFnPtr raw_deleter() const override { return before().raw_deleter() == nullptr ? nullptr : give_back; }
  void copy_data(void* to, const void* from, std::size_t count) const override { before().copy_data(to, from, count); }

 private:
  static void give_back(void* data) { Pool::give_back(data, before().raw_deleter()); }
};

}  // namespace

KeptMemory::KeptMemory() : pool_(std::make_shared<Pool>()) {
  static const bool installed = [] {
    constexpr std::uint8_t kPriority = 1;  // LibTorch's has 0
    (void)Allocator<Pool>::before();       // first
    // A child that is forked while another thread has the mutex would wait for it for ever.
    ::pthread_atfork([] { mutex().lock(); }, [] { mutex().unlock(); }, [] { mutex().unlock(); });
    c10::SetCPUAllocator(new Allocator<Pool>, kPriority);  // for good: tensors refer to it
    return true;
  }();
  (void)installed;
}

KeptMemory::~KeptMemory() { pool_->close(); }

KeptMemory::Scope::Scope(const KeptMemory& memory) : pool_(memory.pool_.get()), before_(std::exchange(Pool::current, pool_)) { pool_->begin(); }

KeptMemory::Scope::~Scope() {
  Pool::current = before_;
  pool_->end();
}

}  // namespace portfire::libtorch
