#include <portfire/tensor.h>

#include <pybind11/operators.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include <portfire/error.h>

#include "bindings.h"
#include "dlpack.h"

namespace portfire::python {
namespace {

/// PEP 3118's letter. Throws kUnsupported for bfloat16, which has none.
const char* format_of(DType dtype) {
  switch (dtype) {
    case DType::kBool: return "?";
    case DType::kUInt8: return "B";
    case DType::kInt8: return "b";
    case DType::kInt16: return "h";
    case DType::kInt32: return "i";
    case DType::kInt64: return "q";
    case DType::kFloat16: return "e";
    case DType::kFloat32: return "f";
    case DType::kFloat64: return "d";
    case DType::kBFloat16: break;
  }
  throw Error(ErrorCode::kUnsupported, "numpy has no bfloat16; take the tensor with torch.from_dlpack");
}

void require_cpu(const Tensor& tensor) {
  if (tensor.device().kind == Device::Kind::kCpu) return;
  throw Error(ErrorCode::kUnsupported, "a tensor on " + tensor.device().to_string() +
                                           " is not in numpy's reach; take it with torch.from_dlpack and move it");
}

py::buffer_info buffer_of(Tensor& tensor) {
  const char* format = format_of(tensor.dtype());
  require_cpu(tensor);
  const auto size = static_cast<py::ssize_t>(size_of(tensor.dtype()));
  std::vector<py::ssize_t> shape(tensor.shape().begin(), tensor.shape().end());
  std::vector<py::ssize_t> strides(tensor.strides().begin(), tensor.strides().end());
  for (py::ssize_t& stride : strides) stride *= size;
  return {tensor.mutable_data(), size, format, static_cast<py::ssize_t>(shape.size()), shape, strides, /*readonly=*/true};
}

py::tuple tuple_of(const Dims& dims) {
  py::tuple out(dims.size());
  for (std::size_t axis = 0; axis < dims.size(); ++axis) out[axis] = py::int_(dims[axis]);
  return out;
}

py::object to_numpy(const py::object& self) {
  format_of(self.cast<const Tensor&>().dtype());
  require_cpu(self.cast<const Tensor&>());
  return py::module_::import("numpy").attr("asarray")(py::memoryview(self));
}

/// numpy's own hook, for tensors whose buffer it cannot have: they raise here rather than become objects.
py::object to_array(const py::object& self, const py::object& dtype, const py::object& copy) {
  py::object array = to_numpy(self);
  if (!dtype.is_none() && !py::object(array.attr("dtype")).equal(py::module_::import("numpy").attr("dtype")(dtype))) {
    return array.attr("astype")(dtype);
  }
  return !copy.is_none() && copy.cast<bool>() ? array.attr("copy")() : array;
}

std::size_t length(const Tensor& tensor) {
  if (tensor.rank() == 0) throw py::type_error("len() of a tensor of shape []");
  return static_cast<std::size_t>(tensor.shape()[0]);
}

}  // namespace

void bind_tensor(py::module_& module) {
  py::class_<Tensor> type(module, "Tensor", py::buffer_protocol(),
                          "An n-dimensional array: dtype, shape, strides, device and a share in its memory. Its elements "
                          "do not change.\n\nnumpy.asarray, torch.from_dlpack and every other library with DLPack take it "
                          "without a copy.");
  type.def_buffer(&buffer_of);
  type.def_property_readonly(
      "dtype", [](const Tensor& t) { return name_of(t.dtype()); }, "As numpy and torch spell it: \"float32\".");
  type.def_property_readonly("shape", [](const Tensor& t) { return tuple_of(t.shape()); });
  type.def_property_readonly(
      "strides", [](const Tensor& t) { return tuple_of(t.strides()); }, "In elements.");
  type.def_property_readonly(
      "device", [](const Tensor& t) { return t.device().to_string(); }, "\"cpu\", \"cuda:0\".");
  type.def_property_readonly("nbytes", &Tensor::nbytes);
  type.def_property_readonly(
      "data_ptr", [](const Tensor& t) { return reinterpret_cast<std::uintptr_t>(t.data()); },
      "The address of the first element.");
  type.def("numpy", &to_numpy, "A read-only numpy array on the same memory. CPU only; numpy has no bfloat16.");
  type.def(
      "tolist", [](const py::object& self) { return to_numpy(self).attr("tolist")(); }, "Nested lists of numbers.");
  type.def("__array__", &to_array, py::arg("dtype") = py::none(), py::kw_only(), py::arg("copy") = py::none());
  type.def("__len__", &length);
  type.def("__eq__", [](const Tensor& a, const Tensor& b) { return a == b; }, py::is_operator(),
           "Same dtype, shape and elements, bit for bit.");
  type.def("__repr__", [](const Tensor& t) { return "Tensor(" + t.to_string() + ")"; });
  type.attr("__hash__") = py::none();
  bind_dlpack(type);
  module.def(
      "tensor", [](py::handle object) { return tensor_from(object); }, py::arg("object"),
      "A Tensor on the memory of a numpy or torch array, or of anything with DLPack or the buffer protocol.");
}

}  // namespace portfire::python
