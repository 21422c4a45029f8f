#include <portfire/codecs.h>

#include <pybind11/pybind11.h>

#include <span>
#include <string>
#include <vector>

#include "bindings.h"

namespace portfire::python {
namespace {

/// The bytes of any object with a contiguous buffer, held while this lives.
class Bytes {
 public:
  explicit Bytes(const py::buffer& buffer) {
    if (PyObject_GetBuffer(buffer.ptr(), &view_, PyBUF_SIMPLE) != 0) throw py::error_already_set();
  }
  ~Bytes() { PyBuffer_Release(&view_); }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;

  [[nodiscard]] std::span<const std::byte> get() const {
    return {static_cast<const std::byte*>(view_.buf), static_cast<std::size_t>(view_.len)};
  }

 private:
  Py_buffer view_{};
};

/// Decodes without the GIL; `decode` takes the bytes.
template <typename Decode>
auto decoded(const py::buffer& data, Decode decode) {
  const Bytes bytes(data);
  const py::gil_scoped_release unlocked;
  return decode(bytes.get());
}

template <typename Encode>
py::bytes encoded(Encode encode) {
  std::vector<std::byte> bytes;
  {
    const py::gil_scoped_release unlocked;
    bytes = encode();
  }
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

py::dict dict_of(std::vector<NamedTensor> tensors) {
  py::dict out;
  for (NamedTensor& named : tensors) out[py::str(named.name)] = py::cast(std::move(named.tensor));
  return out;
}

}  // namespace

void bind_codecs(py::module_& module) {
  module.attr("DEFAULT_MAX_PIXELS") = kDefaultMaxPixels;
  module.def(
      "decode_image",
      [](const py::buffer& data, const std::string& name, std::int64_t max_pixels) {
        return decoded(data, [&](auto bytes) { return decode_image(bytes, name, max_pixels); });
      },
      py::arg("data"), py::arg("name") = "image", py::arg("max_pixels") = kDefaultMaxPixels,
      "PNG or JPEG, told by content, to uint8 [H, W, 3] RGB: upright, alpha composited on white.");
  module.def(
      "encode_png",
      [](py::handle image) {
        const Tensor tensor = tensor_from(image, "the image");
        return encoded([&] { return encode_png(tensor); });
      },
      py::arg("image"), "uint8 [H, W, 3] or [H, W] to PNG.");
  module.def(
      "decode_npy",
      [](const py::buffer& data, const std::string& name) {
        return decoded(data, [&](auto bytes) { return decode_npy(bytes, name); });
      },
      py::arg("data"), py::arg("name") = "npy", "NumPy's .npy.");
  module.def(
      "encode_npy",
      [](py::handle array) {
        const Tensor tensor = tensor_from(array, "the array");
        return encoded([&] { return encode_npy(tensor); });
      },
      py::arg("array"), "NumPy's .npy, version 1.0; bfloat16 has no dtype there.");
  module.def(
      "decode_safetensors",
      [](const py::buffer& data, const std::string& name) {
        return dict_of(decoded(data, [&](auto bytes) { return decode_safetensors(bytes, name); }));
      },
      py::arg("data"), py::arg("name") = "safetensors", "Tensors by name.");
  module.def(
      "encode_safetensors",
      [](py::handle tensors) {
        const std::vector<NamedTensor> named = tensors_from(tensors);
        return encoded([&] { return encode_safetensors(named); });
      },
      py::arg("tensors"), "A mapping of names to arrays.");
  module.def(
      "decode_json_tensors",
      [](const py::buffer& data, const std::string& name) {
        return dict_of(decoded(data, [&](auto bytes) { return decode_json_tensors(bytes, name); }));
      },
      py::arg("data"), py::arg("name") = "json",
      "{\"x\": [[1, 2]]} or {\"x\": {\"dtype\", \"shape\", \"data\"}}, or a bare nested list, named \"\".");
}

}  // namespace portfire::python
