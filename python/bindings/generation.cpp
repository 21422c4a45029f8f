#include <portfire/chat.h>
#include <portfire/model.h>
#include <portfire/text_batcher.h>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "bindings.h"
#include "signals.h"

namespace portfire::python {
namespace {

std::string repr_of(const GeneratedText& text) {
  return "GeneratedText(" + std::string(py::repr(py::str(text.text))) + ", " + std::to_string(text.ids.size()) + " tokens, " + text.finish_reason + ")";
}

/// Python's False, True or "never".
EarlyStopping early_stopping_from(py::handle value) {
  if (py::isinstance<py::bool_>(value)) return value.cast<bool>() ? EarlyStopping::kYes : EarlyStopping::kNo;
  if (py::isinstance<py::str>(value) && value.cast<std::string>() == "never") return EarlyStopping::kNever;
  throw Error(ErrorCode::kInvalidArgument, "early_stopping is " + std::string(py::repr(value)) + "; False, True or \"never\"");
}

/// Takes keyword arguments by their names, and knows which there are.
class Keywords {
 public:
  explicit Keywords(const py::kwargs& named) : named_(named) {}

  template <class T>
  void take(const char* name, T& field) {
    known_ += std::string(known_.empty() ? "" : ", ") + name;
    if (!named_.contains(name)) return;
    ++taken_;
    const py::object value = named_[name];
    if constexpr (std::is_same_v<T, EarlyStopping>) {
      field = early_stopping_from(value);
    } else {
      try {
        field = value.cast<T>();
      } catch (const py::cast_error&) {
        const bool number = py::isinstance<py::int_>(value) || py::isinstance<py::float_>(value);
        throw Error(ErrorCode::kInvalidArgument, std::string(name) + " is " + (number ? std::string(py::repr(value)) : "a " + type_name(value)) + ", which it cannot be");
      }
    }
  }

  void finish() const {
    if (taken_ == named_.size()) return;
    for (const auto& [key, value] : named_) {
      const std::string name = py::str(key);
      if ((", " + known_ + ", ").find(", " + name + ", ") == std::string::npos) throw Error(ErrorCode::kInvalidArgument, "there is no option " + name + "; there are " + known_);
    }
  }

 private:
  const py::kwargs& named_;
  std::string known_;
  std::size_t taken_ = 0;
};

/// The keyword arguments of `generate` and `stream`.
GenerateOptions options_from(const py::kwargs& named) {
  GenerateOptions options;
  Keywords keywords(named);
  keywords.take("max_new_tokens", options.max_new_tokens);
  keywords.take("temperature", options.temperature);
  keywords.take("top_k", options.top_k);
  keywords.take("top_p", options.top_p);
  keywords.take("min_p", options.min_p);
  keywords.take("repetition_penalty", options.repetition_penalty);
  keywords.take("frequency_penalty", options.frequency_penalty);
  keywords.take("num_sequences", options.num_sequences);
  keywords.take("num_beams", options.num_beams);
  keywords.take("length_penalty", options.length_penalty);
  keywords.take("early_stopping", options.early_stopping);
  keywords.take("seed", options.seed);
  keywords.take("stop", options.stop);
  keywords.take("stop_tokens", options.stop_tokens);
  keywords.finish();
  return options;
}

/// The end of a batcher waits for a step, which others need not.
struct DeleteUnlocked {
  void operator()(TextBatcher* batcher) const {
    const py::gil_scoped_release unlocked;
    delete batcher;
  }
};

/// Set on one thread, seen on another.
struct Cancellation {
  std::atomic<bool> is_set = false;
};

/// Until its end, a signal, or a cancellation where there is one.
Generation generate(TextBatcher& batcher, py::handle prompt, const Cancellation* cancellation, const py::kwargs& named) {
  Signals signals;
  const GenerateOptions options = options_from(named);
  const Input input = input_from(prompt, true);
  const auto cancelled = [&] { return (cancellation != nullptr && cancellation->is_set) || signals(); };
  try {
    const py::gil_scoped_release unlocked;
    return batcher.generate(input, options, cancelled);
  } catch (const Error&) {
    signals.finish();
    throw;
  }
}

/// What `write` gives with these options; a signal ends it.
template <class Write>
Generation until_signal(const py::kwargs& named, const Write& write) {
  Signals signals;
  const RunOptions options{.generate = options_from(named), .cancelled = [&signals] { return signals(); }};
  Generation generation = [&] {
    const py::gil_scoped_release unlocked;
    return write(options);
  }();
  signals.finish();
  return generation;
}

/// A list of {"role": ..., "content": ...}.
std::vector<ChatMessage> messages_from(py::handle object) {
  const auto refuse = [](const std::string& problem) {
    throw Error(ErrorCode::kInvalidInput, problem + "; a list of messages is needed, as in [{\"role\": \"user\", \"content\": \"Hello!\"}]");
  };
  if (!py::isinstance<py::list>(object) && !py::isinstance<py::tuple>(object)) refuse("messages is a " + type_name(object));
  std::vector<ChatMessage> messages;
  for (const py::handle one : object) {
    const std::string name = "messages[" + std::to_string(messages.size()) + "]";
    if (!py::isinstance<py::dict>(one)) refuse(name + " is a " + type_name(one));
    const auto fields = py::reinterpret_borrow<py::dict>(one);
    const auto text = [&](const char* field) {
      if (!fields.contains(field)) refuse(name + " has no " + field);
      const py::object value = fields[field];
      if (!py::isinstance<py::str>(value)) refuse(name + ": the " + field + " is a " + type_name(value));
      return text_from(value);
    };
    ChatMessage message{text("role"), text("content")};
    if (fields.size() != 2) refuse(name + " has more than a role and a content");
    messages.push_back(std::move(message));
  }
  return messages;
}

BatcherOptions batcher_options_from(const py::kwargs& named) {
  BatcherOptions options;
  Keywords keywords(named);
  keywords.take("max_sequences", options.max_sequences);
  keywords.take("max_tokens", options.max_tokens);
  keywords.take("max_cache_bytes", options.max_cache_bytes);
  keywords.take("max_waiting", options.max_waiting);
  keywords.finish();
  return options;
}

}  // namespace

void bind_generation(py::module_& module) {
  module.def(
      "chat_text",
      [](const std::string& chat, const std::vector<std::pair<std::string, std::string>>& talk) {
        std::vector<ChatMessage> messages;
        for (const auto& [role, content] : talk) messages.push_back({role, content});
        return chat_text(chat, messages);
      },
      py::arg("chat"), py::arg("messages"), "The prompt that a package's assets/chat.json makes of (role, content) pairs.");

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
      .def("cancel", &TextStream::cancel, py::call_guard<py::gil_scoped_release>(), "Ends the text here and frees what it takes.")
      .def_property_readonly("result", &TextStream::result, "What has been written so far.");

  py::class_<BatcherStats>(module, "BatcherStats", "What a batcher does and has done.")
      .def_readonly("sequences", &BatcherStats::sequences, "Texts that are being written.")
      .def_readonly("max_sequences", &BatcherStats::max_sequences, "At once.")
      .def_readonly("waiting", &BatcherStats::waiting, "Prompts that wait for their turn.")
      .def_readonly("cache_bytes", &BatcherStats::cache_bytes, "The bound on what the model keeps of all texts.")
      .def_readonly("steps", &BatcherStats::steps, "Steps of the batch since the beginning.")
      .def_readonly("finished", &BatcherStats::finished, "Prompts whose texts have ended by themselves.")
      .def_readonly("cancelled", &BatcherStats::cancelled, "Prompts that were given up.")
      .def_readonly("failed", &BatcherStats::failed, "Prompts whose texts failed.");

  py::class_<Cancellation>(module, "_Cancellation", "Ends a text that another thread waits for.")
      .def(py::init())
      .def("set", [](Cancellation& self) { self.is_set = true; });

  py::class_<TextBatcher, std::unique_ptr<TextBatcher, DeleteUnlocked>>(module, "TextBatcher", "Writes the texts of many prompts together, on a thread of its own.")
      .def(py::init([](const Model& model, const py::kwargs& named) {
             return std::unique_ptr<TextBatcher, DeleteUnlocked>(new TextBatcher(model, batcher_options_from(named)));
           }), py::arg("model"), py::pos_only())
      .def("generate",
           [](TextBatcher& self, py::handle prompt, const py::kwargs& named) { return generate(self, prompt, nullptr, named); },
           py::arg("prompt"), py::pos_only(), "Texts that follow a prompt. Waits for them.")
      .def("_generate",
           [](TextBatcher& self, py::handle prompt, const Cancellation& cancellation, const py::kwargs& named) {
             return generate(self, prompt, &cancellation, named);
           },
           py::arg("prompt"), py::arg("cancellation"), py::pos_only(), "The same, until the cancellation is set: then CancelledError.")
      .def("stream",
           [](TextBatcher& self, py::handle prompt, const py::kwargs& named) {
             const GenerateOptions options = options_from(named);
             const Input input = input_from(prompt, true);
             const py::gil_scoped_release unlocked;
             return self.stream(input, options);
           },
           py::arg("prompt"), py::pos_only(), "The same part by part: an iterator of str. It is written whether or not it is asked for.")
      .def_property_readonly("stats", &TextBatcher::stats, "What it does and has done.");
}

Generation generate(const Model& model, py::handle prompt, const py::kwargs& named) {
  const Input input = input_from(prompt, true);
  return until_signal(named, [&](const RunOptions& options) { return model.run(input, options).generation(); });
}

Generation chat(const Model& model, py::handle messages, const py::kwargs& named) {
  const std::vector<ChatMessage> talk = messages_from(messages);
  return until_signal(named, [&](const RunOptions& options) { return portfire::chat(model, talk, options); });
}

TextStream chat_stream(const Model& model, py::handle messages, const py::kwargs& named) {
  const GenerateOptions options = options_from(named);
  const std::vector<ChatMessage> talk = messages_from(messages);
  const py::gil_scoped_release unlocked;
  return portfire::chat_stream(model, talk, options);
}

py::list generate_each(const Model& model, const py::list& prompts, const py::kwargs& named) {
  return run_each(model, prompts, {.generate = options_from(named)});
}

TextStream stream(const Model& model, py::handle prompt, const py::kwargs& named) {
  const GenerateOptions options = options_from(named);
  const Input input = input_from(prompt, true);
  const py::gil_scoped_release unlocked;
  return model.stream(input, options);
}

}  // namespace portfire::python
