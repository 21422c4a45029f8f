#include <portfire/chat.h>
#include <portfire/model.h>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "answer.h"
#include "bindings.h"
#include "signals.h"

namespace portfire::python {
namespace {

Model load(const py::object& path, const std::string& device, int threads, const std::string& engine,
           const std::string& optimization, const std::string& precision, double max_error, bool map_file, bool trust_compiled,
           const std::vector<std::string>& trusted_keys, const std::vector<std::string>& allow_ops, std::int64_t max_pixels,
           const std::vector<std::string>& skip_passes) {
  const std::string from = path_from(path);
  const LoadOptions options{.device = Device::parse(device),
                            .engine = engine,
                            .optimization = optimization_from_name(optimization),
                            .precision = precision_from_name(precision),
                            .max_error = max_error,
                            .threads = threads,
                            .allow_ops = allow_ops,
                            .trust_compiled = trust_compiled,
                            .trusted_keys = trusted_keys,
                            .max_pixels = max_pixels,
                            .map_file = map_file,
                            .skip_passes = skip_passes};
  const py::gil_scoped_release unlocked;
  return Model::load(from, options);
}

ModelInfo inspect_file(const py::object& path, const std::vector<std::string>& allow_ops) {
  const std::string from = path_from(path);
  const LoadOptions options{.device = {}, .allow_ops = allow_ops};
  const py::gil_scoped_release unlocked;
  return inspect(from, options);
}

bool reads_text(const Model& model) { return model.info().manifest && model.info().manifest->raw_input.kind == "text"; }

bool holds_many(const py::object& input) { return PyList_Check(input.ptr()) || PyTuple_Check(input.ptr()); }

py::object run(const Model& model, const py::object& input, int top_k) {
  const RunOptions options{.top_k = top_k};
  if (!holds_many(input)) {
    const Input one = input_from(input, reads_text(model));
    Answer answer = [&] {
      const py::gil_scoped_release unlocked;
      return model.run(one, options);
    }();
    return object_of(std::move(answer), input);
  }
  std::vector<Input> many;
  for (const py::handle item : input) many.push_back(input_from(item, reads_text(model)));
  std::vector<Answer> answers = [&] {
    const py::gil_scoped_release unlocked;
    return model.run(std::span<const Input>(many), options);
  }();
  py::list out;
  const py::sequence sources = input;
  for (std::size_t i = 0; i < answers.size(); ++i) out.append(object_of(std::move(answers[i]), sources[i]));
  return out;
}

/// A path costs nothing to keep; an array or an image would stay in memory with each answer.
py::object source_to_keep(const py::handle input) {
  if (py::isinstance<py::str>(input) || py::hasattr(input, "__fspath__")) return py::reinterpret_borrow<py::object>(input);
  return py::none();
}

py::object forward_named(const Model& model, const py::args& args, const py::kwargs& named) {
  std::vector<NamedTensor> inputs;
  for (const py::handle array : args) inputs.push_back({.name = "", .tensor = tensor_from(array)});
  for (const auto& [name, array] : named) {
    std::string text = name.cast<std::string>();
    Tensor tensor = tensor_from(array, text.c_str());
    inputs.push_back({.name = std::move(text), .tensor = std::move(tensor)});
  }
  std::vector<NamedTensor> outputs = [&] {
    const py::gil_scoped_release unlocked;
    return model.forward_named(inputs);
  }();
  if (outputs.size() == 1) return py::cast(std::move(outputs.front().tensor));
  py::dict out;
  for (NamedTensor& output : outputs) out[py::str(output.name)] = py::cast(std::move(output.tensor));
  return out;
}

bool has_one_output(const Model& model) {
  const ModelInfo& info = model.info();
  if (info.manifest) {
    const MethodSpec* spec = info.manifest->method("forward");
    return spec != nullptr && spec->outputs.size() == 1;
  }
  const auto found = std::ranges::find(info.methods, "forward", &MethodInfo::name);
  return found != info.methods.end() && found->returns == "Tensor";
}

/// The usual call, of one tensor by place: microseconds count here.
py::object forward(const Model& model, const py::handle array) {
  if (!has_one_output(model)) return forward_named(model, py::make_tuple(array), {});
  const Tensor input = tensor_from(array);
  Tensor output;
  {
    const py::gil_scoped_release unlocked;
    output = model.forward(input);
  }
  return py::cast(std::move(output));
}

std::string repr_of(const Model& model) {
  const ModelInfo& info = model.info();
  const std::string name = info.manifest ? info.manifest->name + " v" + std::to_string(info.manifest->version)
                                         : std::string(py::str(py::repr(py::str(info.path))));
  return "Model(" + name + ", " + info.task + ", " + info.engine + " on " + info.device.to_string() + ")";
}

}  // namespace

py::list run_each(const Model& model, const py::list& inputs, const RunOptions& options) {
  py::list out(inputs.size());
  std::vector<Input> good;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    try {
      good.push_back(input_from(inputs[i], reads_text(model)));
      places.push_back(i);
    } catch (const Error& error) {
      out[i] = exception_of(error);
    }
  }
  Signals signals;
  RunOptions asking = options;
  asking.cancelled = [&signals] { return signals(); };
  std::vector<Outcome> outcomes = [&] {
    const py::gil_scoped_release unlocked;
    return model.run_each(good, asking);
  }();
  signals.finish();
  for (std::size_t k = 0; k < outcomes.size(); ++k) {
    if (auto* answer = std::get_if<Answer>(&outcomes[k])) {
      out[places[k]] = object_of(std::move(*answer), source_to_keep(inputs[places[k]]));
    } else {
      out[places[k]] = exception_of(std::get<Error>(outcomes[k]));
    }
  }
  return out;
}

void bind_model(py::module_& module) {
  py::class_<Model>(module, "Model", "A loaded model; immutable and thread-safe.")
      .def(py::init(&load), py::arg("path"), py::kw_only(), py::arg("device") = "cpu", py::arg("threads") = 0,
           py::arg("engine") = "auto", py::arg("optimization") = "auto",
           py::arg("precision") = "packaged", py::arg("max_error") = 0.0, py::arg("map_file") = false, py::arg("trust_compiled") = false,
           py::arg("trusted_keys") = std::vector<std::string>{}, py::arg("allow_ops") = std::vector<std::string>{}, py::arg("max_pixels") = 0,
           py::arg("skip_passes") = std::vector<std::string>{})
      .def("run", &run, py::arg("input"), py::kw_only(), py::arg("top_k") = 5)
      .def("run_each", [](const Model& model, const py::list& inputs, int top_k) { return run_each(model, inputs, {.top_k = top_k}); },
           py::arg("inputs"), py::kw_only(), py::arg("top_k") = 5,
           "An answer, or the portfire.Error, for each input in its place.")
      .def("generate", &generate, py::arg("prompt"), py::pos_only(), "Texts that follow a prompt; task text-generation.")
      .def("generate_each", &generate_each, py::arg("prompts"), py::pos_only(),
           "Texts for many prompts, written together: a Generation, or the portfire.Error, for each in its place.")
      .def("stream", &stream, py::arg("prompt"), py::pos_only(), "The same part by part: an iterator of str.")
      .def("chat", &chat, py::arg("messages"), py::pos_only(),
           "The answer to a conversation, dicts of role and content; for packages with a chat template.")
      .def("chat_stream", &chat_stream, py::arg("messages"), py::pos_only(), "The same part by part: an iterator of str.")
      .def_property_readonly("chat_roles", [](const Model& model) { return py::tuple(py::cast(chat_roles(model))); },
                             "Whose messages `chat` takes; empty where the package has no chat template.")
      .def("forward", &forward, py::arg("input"), py::pos_only())
      .def("forward", &forward_named,
           "The bare tensor call: forward's inputs, by place or by name.\n\nReturns the output, or a dict of several.")
      .def("verify", &Model::verify, py::call_guard<py::gil_scoped_release>(),
           "Replays the golden samples from raw bytes to answer on this machine.")
      .def_property_readonly("info", &Model::info, py::return_value_policy::reference_internal)
      .def("__repr__", &repr_of);
  module.def("inspect", &inspect_file, py::arg("path"), py::kw_only(), py::arg("allow_ops") = std::vector<std::string>{},
             "What a file takes, gives and weighs. Runs no model code.");
  module.def("engines", [](const py::object& path) { return engines(path_from(path)); }, py::arg("path"),
             "The engines that run what a folder or file stands for; \"auto\" tries them in this order.");
  module.def(
      "resolve_package", [](const py::object& path) { return resolve_package(path_from(path)); }, py::arg("path"),
      "The package file that a folder or file stands for.");
}

}  // namespace portfire::python
