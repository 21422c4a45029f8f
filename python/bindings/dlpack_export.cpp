#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include <portfire/tensor.h>

#include "bindings.h"
#include "dlpack.h"

namespace portfire::python {
namespace {

using DeviceTuple = std::pair<int, int>;

DeviceTuple device_tuple(const Tensor& tensor) {
  const Device device = tensor.device();
  return {device.kind == Device::Kind::kCpu ? kDLCPU : kDLCUDA, device.index};
}

Tensor copy_on_cpu(const Tensor& tensor) {
  if (tensor.device().kind != Device::Kind::kCpu) {
    throw py::buffer_error("a tensor on " + tensor.device().to_string() + " is not copied through DLPack; take it without copy=True");
  }
  const Tensor plain = tensor.contiguous();
  Tensor copy = Tensor::zeros(tensor.dtype(), tensor.shape());
  if (plain.nbytes() > 0) std::memcpy(copy.mutable_data(), plain.data(), plain.nbytes());
  return copy;
}

// A capsule that nobody consumed still owns its share.
void drop_versioned(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, "dltensor_versioned")) return;
  auto* tensor = static_cast<VersionedTensor*>(PyCapsule_GetPointer(capsule, "dltensor_versioned"));
  tensor->deleter(tensor);
}

void drop_unversioned(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, "dltensor")) return;
  auto* tensor = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule, "dltensor"));
  tensor->deleter(tensor);
}

py::object to_capsule(const Tensor& self, const py::object& /*stream*/, std::optional<DeviceTuple> max_version,
                      std::optional<DeviceTuple> dl_device, std::optional<bool> copy) {
  if (dl_device && *dl_device != device_tuple(self)) {
    throw py::buffer_error("a tensor on " + self.device().to_string() + " does not move through DLPack");
  }
  const bool copied = copy.value_or(false);
  const Tensor tensor = copied ? copy_on_cpu(self) : self;
  PyObject* capsule = nullptr;
  if (max_version && max_version->first >= static_cast<int>(kDlpackVersion.major)) {
    // Elements are immutable once shared, but a copy is the receiver's own.
    VersionedTensor* out = export_versioned(tensor, copied ? kCopiedFlag : kReadOnlyFlag);
    capsule = PyCapsule_New(out, "dltensor_versioned", &drop_versioned);
    if (capsule == nullptr) out->deleter(out);
  } else {
    DLManagedTensor* out = tensor.to_dlpack();
    capsule = PyCapsule_New(out, "dltensor", &drop_unversioned);
    if (capsule == nullptr) out->deleter(out);
  }
  if (capsule == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(capsule);
}

}  // namespace

VersionedTensor* export_versioned(const Tensor& tensor, std::uint64_t flags) {
  DLManagedTensor* managed = tensor.to_dlpack();
  return new VersionedTensor{kDlpackVersion, managed,
                             [](VersionedTensor* self) {
                               auto* inner = static_cast<DLManagedTensor*>(self->manager_ctx);
                               inner->deleter(inner);
                               delete self;
                             },
                             flags, managed->dl_tensor};
}

void bind_dlpack(py::class_<Tensor>& type) {
  type.def("__dlpack__", &to_capsule, py::kw_only(), py::arg("stream") = py::none(), py::arg("max_version") = py::none(),
           py::arg("dl_device") = py::none(), py::arg("copy") = py::none(),
           "DLPack's capsule; shares the memory unless copy=True.");
  type.def("__dlpack_device__", &device_tuple, "DLPack's device type (1 CPU, 2 CUDA) and index.");
}

}  // namespace portfire::python
