#pragma once

#include <memory>

namespace portfire::libtorch {

/// The memory of large CPU tensors, kept from one call of a model to the next. glibc gives it back to the kernel, which
/// fills every page with zeros when it hands it out again: as long as the computation itself, where activations are
/// large. Memory that the last few calls had no use for is given back. A tensor may outlive it. Thread-safe.
///
/// The first one made puts an allocator before LibTorch's own, for the whole process and for good; without a Scope that
/// one is as it was. Under AddressSanitizer nothing is kept, so that it sees every tensor's end.
class KeptMemory {
  class Pool;

 public:
  KeptMemory();
  ~KeptMemory();
  KeptMemory(const KeptMemory&) = delete;
  KeptMemory& operator=(const KeptMemory&) = delete;

  /// A call: while it lives, this thread's large tensors come from there.
  class Scope {
   public:
    explicit Scope(const KeptMemory& memory);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Pool* pool_;
    Pool* before_;
  };

 private:
  std::shared_ptr<Pool> pool_;
};

}  // namespace portfire::libtorch
