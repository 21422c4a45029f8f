#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include <portfire/model.h>

#include "bindings.h"

namespace portfire::python {
namespace {

py::dict dict_of(const std::string& json) { return py::module_::import("json").attr("loads")(json); }

template <typename T>
py::tuple tuple_of(const std::vector<T>& values) {
  py::tuple out(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = py::cast(values[i]);
  return out;
}

std::string repr_of(const ModelInfo& info) {
  return "ModelInfo(path=" + std::string(py::repr(py::str(info.path))) + ", task='" + info.task +
         "', parameters=" + std::to_string(info.parameters) + ")";
}

py::object manifest_name(const ModelInfo& info) {
  return info.manifest ? py::object(py::str(info.manifest->name)) : py::none();
}

void bind_model_info(py::module_& module) {
  py::class_<ArgumentInfo>(module, "ArgumentInfo", "One argument of a method as the engine sees it.")
      .def_readonly("name", &ArgumentInfo::name)
      .def_readonly("type", &ArgumentInfo::type, "\"Tensor\", \"Optional[Tensor]\", \"int\".")
      .def("__repr__", [](const ArgumentInfo& a) { return "ArgumentInfo(" + a.name + ": " + a.type + ")"; });
  py::class_<MethodInfo>(module, "MethodInfo", "A method of the file: its signature and its operators.")
      .def_readonly("name", &MethodInfo::name)
      .def_property_readonly("arguments", [](const MethodInfo& m) { return tuple_of(m.arguments); })
      .def_readonly("returns", &MethodInfo::returns)
      .def_property_readonly("operators", [](const MethodInfo& m) { return tuple_of(m.operators); },
                             "Sorted, each once: \"aten::conv2d\".")
      .def("__repr__", [](const MethodInfo& m) { return "MethodInfo(" + m.name + ")"; });
  py::class_<ModelInfo>(module, "ModelInfo", "What is in a model file, learnt without running it.")
      .def_readonly("path", &ModelInfo::path, "The package file that was opened.")
      .def_readonly("source", &ModelInfo::source, "What was asked for: that file or a folder.")
      .def_readonly("file_bytes", &ModelInfo::file_bytes)
      .def_property_readonly("name", &manifest_name, "The manifest's; None for TorchScript from elsewhere.")
      .def_property_readonly("version", [](const ModelInfo& i) -> py::object {
        return i.manifest ? py::object(py::int_(i.manifest->version)) : py::none();
      })
      .def_readonly("task", &ModelInfo::task)
      .def_property_readonly("labels", [](const ModelInfo& i) {
        return tuple_of(i.manifest ? i.manifest->labels : std::vector<std::string>{});
      })
      .def_property_readonly("max_batch", [](const ModelInfo& i) { return i.manifest ? i.manifest->max_batch : 1; },
                             "The most samples that `run` and `map` put through one call of `forward`.")
      .def_readonly("engine", &ModelInfo::engine)
      .def_readonly("engine_version", &ModelInfo::engine_version)
      .def_property_readonly("device", [](const ModelInfo& i) { return i.device.to_string(); })
      .def_readonly("threads", &ModelInfo::threads, "For one operator.")
      .def_readonly("optimization", &ModelInfo::optimization, "Empty when the model was only inspected.")
      .def_readonly("precision", &ModelInfo::precision, "Empty when the model was only inspected.")
      .def_readonly("compiled_for", &ModelInfo::compiled_for, "What machine code the file holds is for; empty where there is none.")
      .def_readonly("choice", &ModelInfo::choice, "Why this engine.")
      .def_property_readonly("methods", [](const ModelInfo& i) { return tuple_of(i.methods); })
      .def_readonly("parameters", &ModelInfo::parameters, "Elements.")
      .def_readonly("parameter_bytes", &ModelInfo::parameter_bytes)
      .def("to_json", &ModelInfo::to_json, "One line, as on every face; holds the whole manifest.")
      .def("to_dict", [](const ModelInfo& i) { return dict_of(i.to_json()); })
      .def("__repr__", [](const ModelInfo& i) { return repr_of(i); });
}

void bind_report(py::module_& module) {
  py::class_<StageResult>(module, "StageResult", "How one stage of one golden sample came out.")
      .def_readonly("sample", &StageResult::sample)
      .def_readonly("stage", &StageResult::stage)
      .def_readonly("output", &StageResult::output)
      .def_readonly("max_abs_error", &StageResult::max_abs_error)
      .def_readonly("max_rel_error", &StageResult::max_rel_error)
      .def_property_readonly("atol", [](const StageResult& s) { return s.tolerance.atol; })
      .def_property_readonly("rtol", [](const StageResult& s) { return s.tolerance.rtol; })
      .def_readonly("passed", &StageResult::passed)
      .def_readonly("problem", &StageResult::problem, "Empty when passed.")
      .def("__repr__", [](const StageResult& s) {
        return "StageResult(sample=" + std::to_string(s.sample) + ", " + s.stage + "/" + s.output +
               (s.passed ? ", passed)" : ", " + std::string(py::repr(py::str(s.problem))) + ")");
      });
  py::class_<VerifyReport>(module, "VerifyReport", "The golden samples replayed; true when all stages passed.")
      .def_readonly("engine", &VerifyReport::engine)
      .def_property_readonly("device", [](const VerifyReport& r) { return r.device.to_string(); })
      .def_readonly("optimization", &VerifyReport::optimization)
      .def_readonly("precision", &VerifyReport::precision)
      .def_property_readonly("stages", [](const VerifyReport& r) { return tuple_of(r.stages); })
      .def_property_readonly("passed", &VerifyReport::passed)
      .def("summary", &VerifyReport::summary, "One line: the first stage that failed, or how close all are.")
      .def("to_json", &VerifyReport::to_json, "One line, as on every face.")
      .def("to_dict", [](const VerifyReport& r) { return dict_of(r.to_json()); })
      .def("__bool__", &VerifyReport::passed)
      .def("__str__", &VerifyReport::summary)
      .def("__repr__", [](const VerifyReport& r) { return "VerifyReport(" + r.summary() + ")"; });
}

}  // namespace

void bind_info(py::module_& module) {
  bind_model_info(module);
  bind_report(module);
}

}  // namespace portfire::python
