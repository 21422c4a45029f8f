#include "answer.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "bindings.h"

namespace portfire::python {
namespace {

std::string text_of(const py::object& value) { return py::repr(value); }

std::string repr_of(const ScoredLabel& scored) {
  return "ScoredLabel(index=" + std::to_string(scored.index) + ", label=" + text_of(py::str(scored.label)) +
         ", probability=" + text_of(py::module_::import("builtins").attr("round")(scored.probability, 6)) + ")";
}

std::string repr_of(const PictureAnswer& answer) {
  std::string top;
  for (const ScoredLabel& scored : answer.value.top) top += (top.empty() ? "" : ", ") + repr_of(scored);
  return "Classification(label=" + text_of(py::str(answer.value.label())) + ", top=(" + top + (answer.value.top.size() == 1 ? ",))" : "))");
}

py::tuple top_of(const PictureAnswer& answer) {
  py::tuple top(answer.value.top.size());
  for (std::size_t i = 0; i < top.size(); ++i) top[i] = py::cast(answer.value.top[i]);
  return top;
}

const Tensor& output(const TensorAnswer& answer, const std::string& name) {
  const auto found = std::ranges::find(answer.outputs, name, &NamedTensor::name);
  if (found == answer.outputs.end()) throw py::key_error(name);
  return found->tensor;
}

py::dict dict_of(const TensorAnswer& answer) {
  py::dict out;
  for (const NamedTensor& named : answer.outputs) out[py::str(named.name)] = py::cast(named.tensor);
  return out;
}

void bind_classification(py::module_& module) {
  py::class_<ScoredLabel>(module, "ScoredLabel", "One class and how likely the model holds it to be.")
      .def_readonly("index", &ScoredLabel::index)
      .def_readonly("label", &ScoredLabel::label)
      .def_readonly("probability", &ScoredLabel::probability)
      .def("__eq__", [](const ScoredLabel& a, const ScoredLabel& b) { return a == b; }, py::is_operator())
      .def("__hash__", [](const ScoredLabel& s) { return py::hash(py::make_tuple(s.index, s.label, s.probability)); })
      .def("__repr__", [](const ScoredLabel& s) { return repr_of(s); });

  py::class_<PictureAnswer>(module, "Classification", "The answer of a classification, best class first.")
      .def_property_readonly("label", [](const PictureAnswer& a) { return a.value.label(); }, "The most likely class.")
      .def_property_readonly("probability", [](const PictureAnswer& a) { return a.value.probability(); },
                             "Of the most likely class.")
      .def_property_readonly("top", &top_of, "The most likely classes, best first; never empty.")
      .def_readonly("source", &PictureAnswer::source, "The input that this is the answer to, or None.")
      .def("to_json", [](const PictureAnswer& a) { return Answer{a.value}.to_json(); }, "One line, as on every face.")
      .def("__eq__", [](const PictureAnswer& a, const PictureAnswer& b) { return a.value == b.value; }, py::is_operator())
      .def("__hash__", [](const PictureAnswer& a) { return py::hash(top_of(a)); })
      .def("__repr__", [](const PictureAnswer& a) { return repr_of(a); })
      .def("_repr_html_", [](const py::object& self) {
        return py::module_::import("portfire._pictures").attr("classification_html")(self);
      });
}

void bind_tensor_answer(py::module_& module) {
  py::class_<TensorAnswer> type(module, "TensorAnswer", "The answer of task tensor: the model's outputs by name.");
  type.def("__getitem__", [](const TensorAnswer& a, const std::string& name) { return output(a, name); })
      .def("__len__", [](const TensorAnswer& a) { return a.outputs.size(); })
      .def("__iter__", [](const TensorAnswer& a) { return py::iter(dict_of(a)); })
      .def("__contains__", [](const TensorAnswer& a, const py::object& name) { return dict_of(a).contains(name); })
      .def("keys", [](const TensorAnswer& a) { return dict_of(a).attr("keys")(); })
      .def("values", [](const TensorAnswer& a) { return dict_of(a).attr("values")(); })
      .def("items", [](const TensorAnswer& a) { return dict_of(a).attr("items")(); })
      .def("to_json", [](const TensorAnswer& a) { return Answer{a}.to_json(); }, "One line, as on every face.")
      .def("__eq__", [](const TensorAnswer& a, const TensorAnswer& b) { return a == b; }, py::is_operator())
      .def("__repr__", [](const TensorAnswer& a) { return "TensorAnswer(" + text_of(dict_of(a)) + ")"; });
  type.attr("__hash__") = py::none();
}

}  // namespace

py::object object_of(Answer answer, py::object source) {
  if (auto* classification = std::get_if<Classification>(&answer.value)) {
    return py::cast(PictureAnswer{std::move(*classification), std::move(source)});
  }
  if (auto* generation = std::get_if<Generation>(&answer.value)) return py::cast(std::move(*generation));
  return py::cast(std::get<TensorAnswer>(std::move(answer.value)));
}

void bind_answers(py::module_& module) {
  bind_classification(module);
  bind_tensor_answer(module);
}

}  // namespace portfire::python
