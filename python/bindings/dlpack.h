#pragma once

#include <dlpack/dlpack.h>
#include <pybind11/pybind11.h>

#include <cstdint>

#include <portfire/tensor.h>

/// DLPack 1.x as its ABI has it: distributions still ship headers of 0.x.
/// https://dmlc.github.io/dlpack/latest/c_api.html
namespace portfire::python {

struct DlpackVersion {
  std::uint32_t major;
  std::uint32_t minor;
};

inline constexpr DlpackVersion kDlpackVersion{1, 0};

/// DLManagedTensorVersioned.
struct VersionedTensor {
  DlpackVersion version;
  void* manager_ctx;
  void (*deleter)(VersionedTensor* self);
  std::uint64_t flags;
  DLTensor dl_tensor;
};

inline constexpr std::uint64_t kReadOnlyFlag = 1;
inline constexpr std::uint64_t kCopiedFlag = 2;

/// DLPackExchangeAPI: a type's own C functions, found at `__dlpack_c_exchange_api__`.
struct ExchangeApi {
  DlpackVersion version;
  ExchangeApi* previous;
  int (*allocate)(DLTensor*, VersionedTensor**, void*, void (*)(void*, const char*, const char*));
  int (*from_object)(void* object, VersionedTensor** out);
  // Functions follow that this module does not call.
};

/// Takes over `versioned`, also when it throws. Throws kUnsupported.
Tensor import_versioned(VersionedTensor* versioned);
/// A new share; the receiver calls its deleter.
VersionedTensor* export_versioned(const Tensor& tensor, std::uint64_t flags);

/// Through the type's exchange API where it has one, else through `__dlpack__`. False when the object has
/// neither. Throws kInvalidArgument where the object refuses.
bool import_dlpack(pybind11::handle object, const char* what, Tensor& out);

/// The two methods of the protocol, on portfire.Tensor.
void bind_dlpack(pybind11::class_<Tensor>& type);

}  // namespace portfire::python
