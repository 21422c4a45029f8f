// What a C++ program gets from the library, one line for each line of standard input:
//
//   codes                       all rows "<name> <exit status> <Python class>", then an empty line
//   run<TAB>MODEL<TAB>INPUT     "ok <answer as JSON>" or "<code> <message>"
//   chat<TAB>MODEL{<TAB>ROLE<TAB>CONTENT}<TAB>   the same of a conversation: the likeliest answer, at most 20 tokens
//   inspect<TAB>MODEL           "ok <what it is, as JSON>" or "<code> <message>"
#include <portfire/chat.h>
#include <portfire/model.h>

#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr int kTop = 10;
constexpr int kMostTokens = 20;

/// Keeps the last model, so that many inputs load it once.
class Faces {
 public:
  std::string answer(const std::string& line) {
    std::istringstream in(line);
    std::string verb;
    std::string path;
    std::string input;
    std::getline(in, verb, '\t');
    std::getline(in, path, '\t');
    try {
      if (verb == "codes") return codes();
      if (verb == "inspect") return "ok " + portfire::inspect(path).to_json();
      if (!model_ || path != path_) model_ = portfire::Model::load(path);
      path_ = path;
      if (verb == "chat") return "ok " + chat(in).to_json();
      std::getline(in, input, '\t');
      return "ok " + model_->run(portfire::Input::file(input), {.top_k = kTop}).to_json();
    } catch (const portfire::Error& error) {
      return std::string(portfire::info_of(error.code()).name) + " " + error.what();
    }
  }

 private:
  static std::string codes() {
    std::ostringstream out;
    for (const portfire::ErrorCodeInfo& row : portfire::error_codes()) {
      out << row.name << ' ' << row.exit_status << ' ' << row.python << '\n';
    }
    return out.str();
  }

  portfire::Answer chat(std::istream& in) const {
    std::vector<portfire::ChatMessage> messages;
    for (portfire::ChatMessage one; std::getline(in, one.role, '\t') && std::getline(in, one.content, '\t');) messages.push_back(one);
    portfire::TextStream stream = portfire::chat_stream(*model_, messages, {.max_new_tokens = kMostTokens});
    std::string text;
    while (const std::optional<std::string> part = stream.next()) text += *part;
    const portfire::Generation whole = portfire::chat(*model_, messages, {.generate = {.max_new_tokens = kMostTokens}});
    if (whole.sequences.front() != stream.result() || whole.text() != text) throw portfire::Error(portfire::ErrorCode::kInternal, "the stream differs from the whole");
    return {whole};
  }

  std::optional<portfire::Model> model_;
  std::string path_;
};

}  // namespace

int main() {
  Faces faces;
  for (std::string line; std::getline(std::cin, line);) std::cout << faces.answer(line) << '\n';
  return 0;
}
