#include <pybind11/pybind11.h>

#include <string>
#include <unordered_map>

#include <portfire/error.h>
#include <portfire/tensor.h>

#include "bindings.h"
#include "dlpack.h"

namespace portfire::python {
namespace {

/// The exchange API of a type, looked up once: types that have one live as long as the process.
const ExchangeApi* exchange_api_of(PyTypeObject* type) {
  static std::unordered_map<PyTypeObject*, const ExchangeApi*> known;
  if (const auto found = known.find(type); found != known.end()) return found->second;
  const py::object capsule =
      py::getattr(reinterpret_cast<PyObject*>(type), "__dlpack_c_exchange_api__", py::none());
  if (!PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api")) return nullptr;
  const auto* api = static_cast<const ExchangeApi*>(PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
  while (api != nullptr && api->version.major > kDlpackVersion.major) api = api->previous;
  if (api == nullptr || api->version.major != kDlpackVersion.major) return nullptr;
  Py_INCREF(type);  // so that the address is never another type's
  return known[type] = api;
}

/// The first line of what a library says: C++ stack traces follow in some.
[[noreturn]] void refuse(py::handle object, const char* what, const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument,
              std::string(what) + ": this " + type_name(object) + " gives no tensor: " + why.substr(0, why.find('\n')));
}

// Torch marks tensors whose elements are to be negated when read; DLPack has no such mark.
py::object resolved(py::handle object) {
  static const py::handle is_neg = py::str("is_neg").release();
  const auto negative = py::reinterpret_steal<py::object>(PyObject_CallMethodNoArgs(object.ptr(), is_neg.ptr()));
  if (!negative) PyErr_Clear();  // not torch
  if (negative && negative.ptr() == Py_True) return object.attr("resolve_neg")();
  return py::reinterpret_borrow<py::object>(object);
}

Tensor import_capsule(py::handle object, const char* what, const py::object& capsule) {
  if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned")) {
    auto* versioned = static_cast<VersionedTensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor_versioned"));
    PyCapsule_SetName(capsule.ptr(), "used_dltensor_versioned");
    return import_versioned(versioned);
  }
  if (PyCapsule_IsValid(capsule.ptr(), "dltensor")) {
    auto* managed = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
    PyCapsule_SetName(capsule.ptr(), "used_dltensor");
    return Tensor::from_dlpack(managed);
  }
  refuse(object, what, "its __dlpack__ returned a " + type_name(capsule));
}

/// On CUDA the elements are asked for in order with the default stream, where the engine reads them.
py::object call_dlpack(py::handle object) {
  constexpr int kDefaultStream = 1;
  py::dict keywords;
  if (object.attr("__dlpack_device__")().cast<py::tuple>()[0].cast<int>() == kDLCUDA) keywords["stream"] = kDefaultStream;
  const py::object method = object.attr("__dlpack__");
  try {
    return method(**keywords, py::arg("max_version") = py::make_tuple(kDlpackVersion.major, kDlpackVersion.minor));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;
    return method(**keywords);  // from before DLPack 1.0
  }
}

}  // namespace

Tensor import_versioned(VersionedTensor* versioned) {
  const auto release = [](VersionedTensor* tensor) {
    if (tensor->deleter != nullptr) tensor->deleter(tensor);
  };
  if (versioned->version.major != kDlpackVersion.major) {
    const std::uint32_t major = versioned->version.major;
    release(versioned);
    throw Error(ErrorCode::kUnsupported, "a DLPack tensor of version " + std::to_string(major) + "; version 1 is read");
  }
  auto* managed = new DLManagedTensor{versioned->dl_tensor, versioned, [](DLManagedTensor* self) {
                                        auto* from = static_cast<VersionedTensor*>(self->manager_ctx);
                                        if (from->deleter != nullptr) from->deleter(from);
                                        delete self;
                                      }};
  return Tensor::from_dlpack(managed);
}

bool import_dlpack(py::handle object, const char* what, Tensor& out) {
  if (const ExchangeApi* api = exchange_api_of(Py_TYPE(object.ptr()))) {
    VersionedTensor* versioned = nullptr;
    if (api->from_object(resolved(object).ptr(), &versioned) != 0) {
      const py::error_already_set error;
      refuse(object, what, py::str(error.value()));
    }
    out = import_versioned(versioned);
    return true;
  }
  if (!py::hasattr(object, "__dlpack__") || !py::hasattr(object, "__dlpack_device__")) return false;
  py::object capsule;
  try {
    capsule = call_dlpack(object);
  } catch (const py::error_already_set& error) {
    refuse(object, what, py::str(error.value()));
  }
  out = import_capsule(object, what, capsule);
  return true;
}

}  // namespace portfire::python
