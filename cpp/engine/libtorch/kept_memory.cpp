#include "engine/libtorch/kept_memory.h"

#include <c10/core/CPUAllocator.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

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
  std::size_t bytes;
  std::uint64_t taken;  ///< in which call
};

}  // namespace

/// What one model keeps. All pools have one mutex: they are asked for large tensors only.
class KeptMemory::Pool : public std::enable_shared_from_this<Pool> {
 public:
  static thread_local Pool* current;

  void* take(at::Allocator& source, std::size_t bytes) {
    const std::size_t rounded = (bytes + kStep - 1) / kStep * kStep;
    Block block = fitting(rounded);
    if (!block.memory) block = {.memory = source.allocate(rounded), .bytes = rounded, .taken = 0};
    const std::lock_guard lock(mutex());
    block.taken = calls_;
    void* const data = block.memory.get();
    taken().emplace(data, std::pair(std::move(block), shared_from_this()));
    return data;
  }

  /// Of a tensor, or of memory that LibTorch asked for without one: from a pool, or else from `source`.
  static void give_back(void* data, at::DeleterFnPtr source) {
    Block block{};  // freed without the lock, as is the pool
    std::shared_ptr<Pool> home;
    {
      const std::lock_guard lock(mutex());
      const auto found = taken().find(data);
      if (found != taken().end()) {
        std::tie(block, home) = std::move(found->second);
        taken().erase(found);
        if (!home->is_closed_ && !home->is_old(block)) home->free_.emplace(block.bytes, std::move(block));
        return;
      }
    }
    source(data);
  }

  void begin() {
    const std::lock_guard lock(mutex());
    ++running_;
  }

  void end() {
    std::vector<Block> old;  // freed without the lock
    const std::lock_guard lock(mutex());
    ++calls_;
    for (auto at = free_.begin(); at != free_.end();) {
      const bool goes = is_old(at->second);
      if (goes) old.push_back(std::move(at->second));
      at = goes ? free_.erase(at) : std::next(at);
    }
    --running_;
  }

  void close() {
    std::multimap<std::size_t, Block> all;
    const std::lock_guard lock(mutex());
    is_closed_ = true;
    all.swap(free_);
  }

 private:
  // Neither is ever destroyed: tensors may be the last to go.
  static std::mutex& mutex() {
    static auto* const one = new std::mutex;
    return *one;
  }
  static std::unordered_map<void*, std::pair<Block, std::shared_ptr<Pool>>>& taken() {
    static auto* const all = new std::unordered_map<void*, std::pair<Block, std::shared_ptr<Pool>>>;
    return *all;
  }

  Block fitting(std::size_t bytes) {
    const std::lock_guard lock(mutex());
    const auto found = free_.lower_bound(bytes);
    if (found == free_.end() || found->first / 2 > bytes) return {};
    Block block = std::move(found->second);
    free_.erase(found);
    return block;
  }

  bool is_old(const Block& block) const { return calls_ - block.taken > kCalls * (running_ + 1); }

  std::multimap<std::size_t, Block> free_;  // by size
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
    (void)Allocator<Pool>::before();  // first
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
