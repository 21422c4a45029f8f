#include <portfire/tune.h>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "bindings.h"

namespace portfire::python {
namespace {

TuneReport tune_path(const py::object& path, const std::string& device, const std::string& engine, const std::string& optimization,
                     const std::string& precision, double max_error, bool trust_compiled, const std::vector<std::string>& trusted_keys, const std::vector<std::string>& allow_ops, const py::object& inputs,
                     const std::vector<std::int64_t>& batches, const std::vector<int>& threads, double seconds, bool keep) {
  const std::string from = path_from(path);
  const LoadOptions load{.device = Device::parse(device),
                         .engine = engine,
                         .optimization = optimization_from_name(optimization),
                         .precision = precision_from_name(precision),
                         .max_error = max_error,
                         .allow_ops = allow_ops,
                         .trust_compiled = trust_compiled,
                         .trusted_keys = trusted_keys};
  const TuneOptions options{.inputs = inputs.is_none() ? std::vector<NamedTensor>{} : tensors_from(inputs),
                            .batches = batches,
                            .threads = threads,
                            .seconds = seconds,
                            .keep = keep};
  const py::gil_scoped_release unlocked;
  return tune(from, load, options);
}

std::string repr_of(const TuneRow& row) {
  return "TuneRow(" + row.engine + ", " + std::string(name_of(row.optimization)) + ", " + std::string(name_of(row.precision)) + ", threads=" +
         std::to_string(row.threads) + ", batch=" + std::to_string(row.batch) + ", " +
         (row.problem.empty() ? "p50_us=" + std::to_string(row.p50_us) : std::string(py::repr(py::str(row.problem)))) + ")";
}

py::object chosen(const TuneReport& report) {
  return report.chosen < 0 ? py::none() : py::cast(report.rows[static_cast<std::size_t>(report.chosen)]);
}

}  // namespace

void bind_tune(py::module_& module) {
  py::class_<TuneRow>(module, "TuneRow", "One way to run a model, measured; or why it is no way.")
      .def_readonly("engine", &TuneRow::engine)
      .def_property_readonly("optimization", [](const TuneRow& r) { return name_of(r.optimization); })
      .def_property_readonly("precision", [](const TuneRow& r) { return name_of(r.precision); })
      .def_readonly("threads", &TuneRow::threads)
      .def_readonly("batch", &TuneRow::batch)
      .def_readonly("load_ms", &TuneRow::load_ms)
      .def_readonly("p50_us", &TuneRow::p50_us, "Of one call of forward.")
      .def_readonly("problem", &TuneRow::problem, "Empty for a row that may be chosen.")
      .def("__repr__", &repr_of);
  py::class_<TuneReport>(module, "TuneReport", "What `tune` measured.")
      .def_property_readonly("rows", [](const TuneReport& r) { return py::tuple(py::cast(r.rows)); })
      .def_property_readonly("chosen", &chosen, "The fastest row; None where none may be used.")
      .def_readonly("profile", &TuneReport::profile, "The file that `load` reads; empty when it was not kept.")
      .def("to_json", &TuneReport::to_json, "One line, as on every face.")
      .def("to_dict", [](const TuneReport& r) { return py::module_::import("json").attr("loads")(r.to_json()); });
  module.def("tune", &tune_path, py::arg("path"), py::kw_only(), py::arg("device") = "cpu", py::arg("engine") = "auto",
             py::arg("optimization") = "auto", py::arg("precision") = "packaged", py::arg("max_error") = 0.0, py::arg("trust_compiled") = false,
             py::arg("trusted_keys") = std::vector<std::string>{},
             py::arg("allow_ops") = std::vector<std::string>{}, py::arg("inputs") = py::none(),
             py::arg("batches") = std::vector<std::int64_t>{1, 8}, py::arg("threads") = std::vector<int>{}, py::arg("seconds") = 0.3,
             py::arg("keep") = true,
             "Measures every engine, optimization, precision and number of threads that is left open, drops those whose\n"
             "golden samples do not hold, and keeps what it found for the next `load` of this package on this machine.\n"
             "What is fastest at the first of `batches` is chosen; with `inputs` (a mapping of names to arrays) theirs is\n"
             "the only batch. bfloat16 is among them where `precision` is\n"
             "\"bfloat16\" or \"fastest\", 8 bits where it is \"int8\".");
}

}  // namespace portfire::python
