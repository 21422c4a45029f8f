#include <portfire/tokenizer.h>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bindings.h"

namespace portfire::python {
namespace {

/// The text is kept for what is asked of it seldom: Python counts code points where the library counts bytes.
struct TextEncoding {
  Tokenizer tokenizer;
  std::string text;
  Encoding encoding;
};

py::list offsets_of(const TextEncoding& made) {
  std::vector<std::int64_t> number(made.text.size() + 1);  // of code points before each byte
  std::int64_t count = 0;
  for (std::size_t k = 0; k < made.text.size(); ++k) {
    number[k] = count;
    const bool last = k + 1 == made.text.size() || (static_cast<unsigned char>(made.text[k + 1]) & 0xC0U) != 0x80U;
    if (last) ++count;
  }
  number[made.text.size()] = count;
  py::list offsets;
  for (const TextRange& range : made.encoding.offsets) {
    offsets.append(py::make_tuple(number[static_cast<std::size_t>(range.begin)], number[static_cast<std::size_t>(range.end)]));
  }
  return offsets;
}

py::list tokens_of(const TextEncoding& made) {
  py::list tokens;
  for (const std::int64_t id : made.encoding.ids) tokens.append(made.tokenizer.token(id));
  return tokens;
}

TextEncoding encode(const Tokenizer& tokenizer, const py::str& text, bool add_special_tokens, std::int64_t max_tokens) {
  TextEncoding made{tokenizer, text_from(text), {}};
  const py::gil_scoped_release unlocked;
  made.encoding = tokenizer.encode(made.text, {.add_special_tokens = add_special_tokens, .max_tokens = max_tokens});
  return made;
}

}  // namespace

void bind_tokenizer(py::module_& module) {
  py::class_<TextEncoding>(module, "Encoding", "A text as its tokens.")
      .def_property_readonly("ids", [](const TextEncoding& made) { return made.encoding.ids; }, "One int for each token.")
      .def_property_readonly("tensor", [](const TextEncoding& made) { return Tensor::copy_of(made.encoding.ids, {static_cast<std::int64_t>(made.encoding.ids.size())}); }, "int64 [L].")
      .def_property_readonly("tokens", &tokens_of, "As the tokenizer's file spells them.")
      .def_property_readonly("offsets", &offsets_of, "(begin, end) of each token in the text, in characters; (0, 0) for those that were added.")
      .def("__len__", [](const TextEncoding& made) { return made.encoding.ids.size(); })
      .def("__repr__", [](const TextEncoding& made) { return "Encoding of " + std::to_string(made.encoding.ids.size()) + " tokens"; });

  py::class_<Tokenizer>(module, "Tokenizer", "Text to token ids and back, by the runtime's own code. Immutable and thread-safe.")
      .def_static(
          "from_bytes",
          [](const py::bytes& data, const std::string& name) {
            const std::string_view view = data;
            const py::gil_scoped_release unlocked;
            return Tokenizer::from_bytes({reinterpret_cast<const std::byte*>(view.data()), view.size()}, name);
          },
          py::arg("data"), py::arg("name") = "tokenizer", "The bytes of a tokenizer.json or of a SentencePiece model, told by content.")
      .def_static(
          "load",
          [](py::handle path) {
            const std::string place = path_from(path);
            const py::gil_scoped_release unlocked;
            return Tokenizer::load(place);
          },
          py::arg("path"), "Such a file, or a folder with one, with vocab.json and merges.txt, or with vocab.txt.")
      .def("encode", &encode, py::arg("text"), py::arg("add_special_tokens") = true, py::arg("max_tokens") = 0,
           "Special tokens are those of the tokenizer's template; of more than `max_tokens` the first are kept.")
      .def(
          "decode",
          [](const Tokenizer& tokenizer, const std::vector<std::int64_t>& ids, bool skip_special_tokens) {
            const py::gil_scoped_release unlocked;
            return tokenizer.decode(ids, skip_special_tokens);
          },
          py::arg("ids"), py::arg("skip_special_tokens") = true, "The text, U+FFFD where the tokens are no UTF-8.")
      .def_property_readonly("vocabulary_size", &Tokenizer::vocabulary_size, "One more than the greatest id.")
      .def("id", &Tokenizer::id, py::arg("token"), "None where there is no such token.")
      .def("token", &Tokenizer::token, py::arg("id"))
      .def("__repr__", [](const Tokenizer& tokenizer) { return "Tokenizer of " + std::to_string(tokenizer.vocabulary_size()) + " tokens"; });

  py::class_<DecodeStream>(module, "DecodeStream", "The text of tokens that come one by one: never half a character. One thread at a time.")
      .def(py::init<Tokenizer, bool>(), py::arg("tokenizer"), py::arg("skip_special_tokens") = true)
      .def("push", &DecodeStream::push, py::arg("id"), "What is certain of the text after one more token.")
      .def("finish", &DecodeStream::finish, "The rest.");
}

}  // namespace portfire::python
