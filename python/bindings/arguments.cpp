#include <pybind11/pybind11.h>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include <portfire/error.h>
#include <portfire/input.h>
#include <portfire/tensor.h>

#include "bindings.h"
#include "dlpack.h"

namespace portfire::python {
namespace {

// May run on any thread, with or without the GIL.
void release_buffer(void* context) {
  if (Py_IsInitialized() == 0) return;  // Python's memory is gone already
  const PyGILState_STATE state = PyGILState_Ensure();
  auto* view = static_cast<Py_buffer*>(context);
  PyBuffer_Release(view);
  delete view;
  PyGILState_Release(state);
}

struct BufferDeleter {
  void operator()(Py_buffer* view) const { release_buffer(view); }
};

/// PEP 3118's native format of one number.
DType dtype_of(const Py_buffer& view, const char* what) {
  std::string_view format = view.format == nullptr ? "B" : view.format;
  if (!format.empty() && (format.front() == '@' || format.front() == '=' || format.front() == '<')) format.remove_prefix(1);
  if (format.size() == 1) {
    switch (format.front()) {
      case '?': return DType::kBool;
      case 'B': return DType::kUInt8;
      case 'b': return DType::kInt8;
      case 'e': return DType::kFloat16;
      case 'f': return DType::kFloat32;
      case 'd': return DType::kFloat64;
      case 'h': return DType::kInt16;
      case 'i':
      case 'l':
      case 'q': return view.itemsize == 8 ? DType::kInt64 : DType::kInt32;
      default: break;
    }
  }
  throw Error(ErrorCode::kUnsupported, std::string(what) + ": elements of format \"" + std::string(format) +
                                           "\"; convert them to native bool, uint8, int8-64 or float16-64");
}

/// False where the engines could not read the layout: negative strides, or steps of part of an element.
bool strides_of(const Py_buffer& view, Dims& strides) {
  for (int axis = 0; axis < view.ndim; ++axis) {
    const Py_ssize_t step = view.strides[axis];
    if (step < 0 || step % view.itemsize != 0) return false;
    strides[static_cast<std::size_t>(axis)] = step / view.itemsize;
  }
  return true;
}

Tensor import_buffer(py::handle object, const char* what) {
  auto view = std::make_unique<Py_buffer>();
  if (PyObject_GetBuffer(object.ptr(), view.get(), PyBUF_STRIDES | PyBUF_FORMAT) != 0) {
    const py::error_already_set error;
    throw Error(ErrorCode::kInvalidArgument, std::string(what) + ": this " + type_name(object) +
                                                 " gives no tensor: " + std::string(py::str(error.value())));
  }
  std::unique_ptr<Py_buffer, BufferDeleter> held(view.release());
  const DType dtype = dtype_of(*held, what);
  static_assert(sizeof(Py_ssize_t) == sizeof(std::int64_t));
  const Dims shape(std::span(reinterpret_cast<const std::int64_t*>(held->shape), static_cast<std::size_t>(held->ndim)));
  Dims strides = shape;
  if (!strides_of(*held, strides)) {
    Tensor copy = Tensor::zeros(dtype, shape);
    if (PyBuffer_ToContiguous(copy.mutable_data(), held.get(), held->len, 'C') != 0) throw py::error_already_set();
    return copy;
  }
  Py_buffer* owned = held.release();
  return Tensor::external({.data = owned->buf, .dtype = dtype, .shape = shape, .strides = strides, .device = {},
                           .release = &release_buffer, .context = owned});
}

// Without an import of PIL: plug-ins and programs have classes of their own below PIL.Image.Image.
bool is_pil_image(py::handle object) { return py::hasattr(object, "getexif") && py::hasattr(object, "convert"); }

}  // namespace

std::string type_name(py::handle object) {
  const py::handle type(reinterpret_cast<PyObject*>(Py_TYPE(object.ptr())));
  const std::string module = py::str(type.attr("__module__"));
  const std::string name = py::str(type.attr("__qualname__"));
  return module == "builtins" ? name : module + "." + name;
}

Tensor tensor_from(py::handle object, const char* what) {
  if (py::isinstance<Tensor>(object)) return object.cast<const Tensor&>();
  if (PyObject_CheckBuffer(object.ptr()) != 0) return import_buffer(object, what);
  Tensor tensor;
  if (import_dlpack(object, what, tensor)) return tensor;
  throw Error(ErrorCode::kInvalidArgument, std::string(what) + ": a " + type_name(object) +
                                               " is no tensor; give a numpy or torch array, or anything with __dlpack__");
}

std::vector<NamedTensor> tensors_from(py::handle mapping) {
  std::vector<NamedTensor> tensors;
  for (const py::handle key : mapping.attr("keys")()) {
    if (!py::isinstance<py::str>(key)) {
      throw Error(ErrorCode::kInvalidArgument, "a tensor's name is a " + type_name(key) + "; names are str");
    }
    std::string name = key.cast<std::string>();
    Tensor tensor = tensor_from(mapping[key], name.c_str());
    tensors.push_back({.name = std::move(name), .tensor = std::move(tensor)});
  }
  return tensors;
}

std::string path_from(py::handle object) {
  const auto path = py::reinterpret_steal<py::object>(PyOS_FSPath(object.ptr()));
  if (!path) {
    PyErr_Clear();
    throw Error(ErrorCode::kInvalidArgument, "a " + type_name(object) + " is no path; give a str or an os.PathLike");
  }
  const auto encoded = PyBytes_Check(path.ptr()) ? path : py::reinterpret_steal<py::object>(PyUnicode_EncodeFSDefault(path.ptr()));
  if (!encoded) throw py::error_already_set();
  std::string text = encoded.cast<std::string>();
  if (text.find('\0') != std::string::npos) throw Error(ErrorCode::kInvalidArgument, "a path with a NUL in it; no file has such a name");
  return text;
}

std::string text_from(py::handle text) {
  Py_ssize_t size = 0;
  const char* bytes = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (bytes == nullptr) {
    PyErr_Clear();
    throw Error(ErrorCode::kInvalidInput, "the text has a lone surrogate, which is no character");
  }
  return {bytes, static_cast<std::size_t>(size)};
}

Input input_from(py::handle object, bool reads_text) {
  if (py::isinstance<py::str>(object)) return reads_text ? Input::text(text_from(object)) : Input::file(path_from(object));
  if (PyBytes_Check(object.ptr()) || PyByteArray_Check(object.ptr())) {
    const Tensor bytes = tensor_from(object);
    return Input::bytes(std::span(static_cast<const std::byte*>(bytes.data()), bytes.nbytes()));
  }
  if (py::hasattr(object, "__fspath__")) return Input::file(path_from(object));
  if (is_pil_image(object)) {
    const py::object plain = py::module_::import("portfire._pictures").attr("from_pil")(object);
    return PyBytes_Check(plain.ptr()) ? input_from(plain, reads_text) : Input::tensor(tensor_from(plain));
  }
  if (!PyObject_CheckBuffer(object.ptr()) && py::hasattr(object, "keys")) return Input::tensors(tensors_from(object));
  return Input::tensor(tensor_from(object, "the input"));
}

}  // namespace portfire::python
