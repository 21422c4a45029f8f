#include <portfire/model.h>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <utility>

#include "bindings.h"

namespace portfire::python {
namespace {

std::string repr_of(const GeneratedText& text) {
  return "GeneratedText(" + std::string(py::repr(py::str(text.text))) + ", " + std::to_string(text.ids.size()) + " tokens, " + text.finish_reason + ")";
}

/// The keyword arguments of `generate` and `stream`.
GenerateOptions options_from(const py::kwargs& named) {
  GenerateOptions options;
  for (const auto& [key, value] : named) {
    const std::string name = py::str(key);
    const auto take = [&](auto& field) {
      try {
        field = value.cast<std::remove_reference_t<decltype(field)>>();
      } catch (const py::cast_error&) {
        throw Error(ErrorCode::kInvalidArgument, name + " is a " + type_name(value) + ", which it cannot be");
      }
    };
    if (name == "max_new_tokens") {
      take(options.max_new_tokens);
    } else if (name == "temperature") {
      take(options.temperature);
    } else if (name == "top_k") {
      take(options.top_k);
    } else if (name == "top_p") {
      take(options.top_p);
    } else if (name == "min_p") {
      take(options.min_p);
    } else if (name == "repetition_penalty") {
      take(options.repetition_penalty);
    } else if (name == "frequency_penalty") {
      take(options.frequency_penalty);
    } else if (name == "num_sequences") {
      take(options.num_sequences);
    } else if (name == "seed") {
      take(options.seed);
    } else if (name == "stop") {
      take(options.stop);
    } else if (name == "stop_tokens") {
      take(options.stop_tokens);
    } else {
      throw Error(ErrorCode::kInvalidArgument, "there is no option " + name + "; max_new_tokens, temperature, top_k, top_p, min_p, repetition_penalty, "
                                                   "frequency_penalty, num_sequences, seed, stop and stop_tokens there are");
    }
  }
  return options;
}

}  // namespace

void bind_generation(py::module_& module) {
  py::class_<GeneratedText>(module, "GeneratedText", "One text that was written.")
      .def_readonly("text", &GeneratedText::text, "What follows the prompt.")
      .def_readonly("ids", &GeneratedText::ids, "Its tokens, with the one that ended it.")
      .def_readonly("log_probabilities", &GeneratedText::log_probabilities, "Of each token, by softmax of the bare logits.")
      .def_readonly("finish_reason", &GeneratedText::finish_reason, "\"stop\", \"length\" or \"cancelled\".")
      .def("__eq__", [](const GeneratedText& a, const GeneratedText& b) { return a == b; }, py::is_operator())
      .def("__hash__", [](const GeneratedText& t) { return py::hash(py::make_tuple(t.text, py::tuple(py::cast(t.ids)))); })
      .def("__repr__", &repr_of);

  py::class_<Generation>(module, "Generation", "The answer of task text-generation: as many texts as were asked for.")
      .def_property_readonly("text", &Generation::text, "The first text.")
      .def_property_readonly("sequences", [](const Generation& g) { return py::tuple(py::cast(g.sequences)); })
      .def("to_json", [](const Generation& g) { return Answer{g}.to_json(); }, "One line, as on every face.")
      .def("__eq__", [](const Generation& a, const Generation& b) { return a == b; }, py::is_operator())
      .def("__hash__", [](const Generation& g) { return py::hash(py::str(Answer{g}.to_json())); })
      .def("__repr__", [](const Generation& g) {
        std::string texts;
        for (const GeneratedText& text : g.sequences) texts += (texts.empty() ? "" : ", ") + repr_of(text);
        return "Generation(" + texts + ")";
      });

  py::class_<TextStream>(module, "TextStream", "A text that is being written: an iterator of its parts. One thread at a time.")
      .def("__iter__", [](py::object self) { return self; })
      .def("__next__",
           [](TextStream& stream) {
             std::optional<std::string> part;
             {
               const py::gil_scoped_release unlocked;
               part = stream.next();
             }
             if (!part) throw py::stop_iteration();
             return *part;
           })
      .def("cancel", &TextStream::cancel, "Ends the text here and frees what it takes.")
      .def_property_readonly("result", &TextStream::result, "What has been written so far.");
}

Generation generate(const Model& model, py::handle prompt, const py::kwargs& named) {
  const RunOptions options{.generate = options_from(named)};
  const Input input = input_from(prompt, true);
  const py::gil_scoped_release unlocked;
  return model.run(input, options).generation();
}

TextStream stream(const Model& model, py::handle prompt, const py::kwargs& named) {
  const GenerateOptions options = options_from(named);
  const Input input = input_from(prompt, true);
  const py::gil_scoped_release unlocked;
  return model.stream(input, options);
}

}  // namespace portfire::python
