#include <portfire/error.h>

#include <pybind11/pybind11.h>

#include <exception>
#include <string>
#include <vector>

#include "bindings.h"

namespace portfire::python {
namespace {

// Classes live as long as the process, as built-in exceptions do.
std::vector<PyObject*>& classes() {
  static std::vector<PyObject*> all;
  return all;
}

/// The built-in exception that code which knows nothing of Portfire would catch; null where none fits.
PyObject* builtin_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kInvalidInput: return PyExc_ValueError;
    case ErrorCode::kNotFound: return PyExc_FileNotFoundError;
    case ErrorCode::kIo: return PyExc_OSError;
    default: return nullptr;
  }
}

PyObject* class_of(ErrorCode code) { return classes()[static_cast<std::size_t>(code)]; }

py::object message_of(const Error& error) {
  const std::string text = error.what();
  return py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

py::object make_class(const std::string& name, const std::string& doc, const py::object& bases, const py::str& code) {
  py::dict members;
  members["code"] = code;
  return py::reinterpret_steal<py::object>(
      PyErr_NewExceptionWithDoc(("portfire." + name).c_str(), doc.c_str(), bases.ptr(), members.ptr()));
}

}  // namespace

py::object exception_of(const Error& error) {
  return py::reinterpret_borrow<py::object>(class_of(error.code()))(message_of(error));
}

void bind_errors(py::module_& module) {
  const py::object exception = py::reinterpret_borrow<py::object>(PyExc_Exception);
  const py::object base = make_class(
      "Error", "What Portfire raises: one line of text, and `code`, the kind of error as every face spells it.",
      py::make_tuple(exception), py::str(std::string(info_of(ErrorCode::kInternal).name)));
  module.attr("Error") = base;
  for (const ErrorCodeInfo& info : error_codes()) {
    PyObject* builtin = builtin_of(info.code);
    py::list bases;
    bases.append(base);
    if (builtin != nullptr) bases.append(py::handle(builtin));
    const std::string name(info.python);
    py::object type = make_class(name, std::string(info.meaning), py::tuple(bases), py::str(std::string(info.name)));
    module.attr(name.c_str()) = type;
    classes().push_back(type.release().ptr());
  }
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const Error& error) {
      PyErr_SetObject(class_of(error.code()), message_of(error).ptr());
    }
  });
}

}  // namespace portfire::python
