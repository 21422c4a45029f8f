#include "engine/graph/weights.h"

#include <ATen/ops/from_blob.h>

#include <c10/core/InferenceMode.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/plan.h"
#include "engine/libtorch/convert.h"

namespace portfire::graph {
namespace {

/// Kernels take another way, and round otherwise, where a weight begins within a vector of theirs.
bool is_aligned(const std::byte* data) { return reinterpret_cast<std::uintptr_t>(data) % 16 == 0; }

/// A copy at an aligned place.
std::shared_ptr<std::byte> aligned_copy(std::span<const std::byte> bytes) {
  const std::size_t rounded = (bytes.size() + 63) / 64 * 64;
  std::shared_ptr<std::byte> copy(static_cast<std::byte*>(std::aligned_alloc(64, std::max<std::size_t>(rounded, 64))), std::free);
  if (!copy) throw std::bad_alloc();
  std::copy(bytes.begin(), bytes.end(), copy.get());
  return copy;
}

/// The elements of a record, in the archive's file until they are asked for.
class WaitingStorage final : public c10::StorageImpl {
 public:
  WaitingStorage(Archive archive, std::string record, std::size_t bytes)
      : StorageImpl(c10::StorageImpl::use_byte_size_t(), bytes, at::DataPtr(nullptr, c10::Device(c10::kCPU)), nullptr, false),
        archive_(std::move(archive)), record_(std::move(record)) {
    let_go();
  }

  void fetch() {
    if (is_here_) return;
    TORCH_INTERNAL_ASSERT(archive_.has_value());
    const std::size_t bytes = nbytes();
    // Not from malloc, which keeps what is freed between the packed weights.
    void* const room = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) throw std::bad_alloc();
    const std::shared_ptr<void> owner(room, [bytes](void* at) { ::munmap(at, bytes); });
    archive_->read(record_, {static_cast<std::byte*>(room), bytes});
    set_data_ptr_noswap(at::DataPtr(room, new std::shared_ptr<void>(owner), [](void* at) { delete static_cast<std::shared_ptr<void>*>(at); },
                                    c10::Device(c10::kCPU)));
    clear_data_ptr_access_error_msg_();
    is_here_ = true;
  }

  /// For good: the file is not needed any more.
  void settle() {
    fetch();
    archive_.reset();
  }

  void let_go() {
    if (!archive_) return;
    set_data_ptr_noswap(at::DataPtr(nullptr, c10::Device(c10::kCPU)));
    release_data_and_set_meta_custom_data_ptr_error_msg_("a weight is looked at that was not read from its file");
    is_here_ = false;
  }

 private:
  std::optional<Archive> archive_;
  std::string record_;
  bool is_here_ = false;
};

WaitingStorage* waiting(const at::Tensor& tensor) {
  return tensor.defined() && tensor.has_storage() ? dynamic_cast<WaitingStorage*>(tensor.storage().unsafeGetStorageImpl()) : nullptr;
}

/// Calls `take` with each tensor of a constant.
void each_tensor(const c10::IValue& value, void (*take)(const at::Tensor&)) {
  if (value.isTensor()) take(value.toTensor());
  if (!value.isTensorList() && !value.isList()) return;
  for (const c10::IValue& one : value.toListRef()) each_tensor(one, take);
}

void each_tensor(const Operand& operand, void (*take)(const at::Tensor&)) {
  each_tensor(operand.constant, take);
  for (const Operand& item : operand.items) each_tensor(item, take);
}

}  // namespace

c10::Storage Weights::storage_of(const std::string& record) {
  const ArchiveEntry* entry = archive_.find(record);
  if (archive_.is_left(record)) return c10::Storage(c10::make_intrusive<WaitingStorage>(archive_, record, entry->bytes));
  const std::span<const std::byte> stored = archive_.view(record);
  const auto size = static_cast<std::int64_t>(entry->bytes);
  if (!stored.empty() && is_aligned(stored.data()) && !archive_.is_in_parts()) {
    auto* data = const_cast<std::byte*>(stored.data());  // no operator that writes gets near it
    return at::from_blob(data, {size}, [archive = archive_](void*) {}, at::kByte).storage();
  }
  const std::shared_ptr<std::byte> bytes = aligned_copy(stored.empty() ? archive_.read(record) : std::vector<std::byte>(stored.begin(), stored.end()));
  return at::from_blob(bytes.get(), {size}, [bytes](void*) {}, at::kByte).storage();
}

at::Tensor Weights::tensor(const exported::Weight& weight) {
  // As PyTorch has them: a view of a parameter that was made in inference mode does not require a gradient, one of
  // another does, and products look at that.
  const c10::InferenceMode ordinary(false);
  auto storage = storages_.find(weight.record);
  if (storage == storages_.end()) storage = storages_.emplace(weight.record, storage_of(weight.record)).first;
  const auto options = at::TensorOptions(libtorch::scalar_type_of(weight.dtype));
  at::Tensor tensor = at::detail::make_tensor<c10::TensorImpl>(c10::Storage(storage->second), options.computeDispatchKey(), options.dtype());
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides({weight.shape.data(), weight.shape.size()}, {weight.strides.data(), weight.strides.size()}, weight.offset);
  if (device_.kind != Device::Kind::kCpu) {
    fetch(tensor);
    const at::Tensor here = tensor;
    tensor = here.to(libtorch::torch_device(device_));
    let_wait(here);
  }
  const bool may = at::isFloatingType(tensor.scalar_type()) || at::isComplexType(tensor.scalar_type());
  if (weight.requires_grad && may) tensor.set_requires_grad(true);
  return tensor;
}

void fetch(const at::Tensor& tensor) {
  if (WaitingStorage* storage = waiting(tensor)) storage->fetch();
}

void fetch_constants(const Operand& operand) { each_tensor(operand, fetch); }

void let_wait(const at::Tensor& tensor) {
  if (WaitingStorage* storage = waiting(tensor)) storage->let_go();
}

bool may_wait(const at::Tensor& tensor) { return waiting(tensor) != nullptr; }

void settle(const at::Tensor& tensor) {
  if (WaitingStorage* storage = waiting(tensor)) storage->settle();
}

void settle(const Block& block) {
  for (const Step& step : block.steps) {
    for (const Operand& operand : step.operands) each_tensor(operand, settle);
  }
  for (const Operand& output : block.outputs) each_tensor(output, settle);
}

}  // namespace portfire::graph
