// What a C++ program gets from the library, one line for each line of standard input:
//
//   codes                       all rows "<name> <exit status> <Python class>", then an empty line
//   run<TAB>MODEL<TAB>INPUT     "ok <answer as JSON>" or "<code> <message>"
//   inspect<TAB>MODEL           "ok <what it is, as JSON>" or "<code> <message>"
#include <portfire/model.h>

#include <iostream>
#include <optional>
#include <sstream>
#include <string>

namespace {

constexpr int kTop = 10;

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
    std::getline(in, input, '\t');
    try {
      if (verb == "codes") return codes();
      if (verb == "inspect") return "ok " + portfire::inspect(path).to_json();
      if (!model_ || path != path_) model_ = portfire::Model::load(path);
      path_ = path;
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

  std::optional<portfire::Model> model_;
  std::string path_;
};

}  // namespace

int main() {
  Faces faces;
  for (std::string line; std::getline(std::cin, line);) std::cout << faces.answer(line) << '\n';
  return 0;
}
