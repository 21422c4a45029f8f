#pragma once

#include <pybind11/pybind11.h>
#include <string>
#include <vector>

#include <portfire/error.h>
#include <portfire/input.h>
#include <portfire/model.h>
#include <portfire/tensor.h>

/// The Python module `portfire._core`, on the public headers only. One `bind_` function for each group of
/// classes; each file's conversions are its own but for those named here.
namespace portfire::python {

namespace py = pybind11;

void bind_errors(py::module_& module);
void bind_tensor(py::module_& module);
void bind_codecs(py::module_& module);
void bind_answers(py::module_& module);
void bind_info(py::module_& module);
void bind_model(py::module_& module);
void bind_generation(py::module_& module);
void bind_tokenizer(py::module_& module);
void bind_tune(py::module_& module);

/// The Python exception for an error, made but not raised.
py::object exception_of(const Error& error);

/// Shares the memory of a portfire.Tensor, of an object with the buffer protocol (numpy) or of one with
/// DLPack (torch and others), on the CPU or CUDA. Copies only what has negative or broken strides. `what`
/// is what an error calls the object. Throws kInvalidArgument, kUnsupported.
Tensor tensor_from(py::handle object, const char* what = "the argument");
/// A mapping of names to what `tensor_from` takes.
std::vector<NamedTensor> tensors_from(py::handle mapping);

/// A path, encoded bytes, an array, a mapping of arrays or a PIL image; where the model `reads_text`, a str is the text
/// itself. Throws kInvalidArgument, and kInvalidInput on a str that has no UTF-8.
Input input_from(py::handle object, bool reads_text);
/// The UTF-8 of a str. Throws kInvalidInput on a lone surrogate.
std::string text_from(py::handle text);
/// str or os.PathLike, as the operating system spells it. Throws kInvalidArgument on anything else.
std::string path_from(py::handle object);

/// An answer or an exception for each input in its place.
py::list run_each(const Model& model, const py::list& inputs, const RunOptions& options);

/// `Model.generate`, `generate_each` and `stream`: the options by their names.
Generation generate(const Model& model, py::handle prompt, const py::kwargs& named);
py::list generate_each(const Model& model, const py::list& prompts, const py::kwargs& named);
TextStream stream(const Model& model, py::handle prompt, const py::kwargs& named);

/// `Model.chat` and `chat_stream`.
Generation chat(const Model& model, py::handle messages, const py::kwargs& named);
TextStream chat_stream(const Model& model, py::handle messages, const py::kwargs& named);

/// "dict", "numpy.ndarray": for errors.
std::string type_name(py::handle object);

}  // namespace portfire::python
