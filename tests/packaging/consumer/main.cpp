// What a product does with Portfire: load once, run many. Exit status and messages come from the error.
#include <portfire/model.h>

#include <iostream>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: consumer MODEL PICTURE...\n";
    return 64;
  }
  try {
    const auto model = portfire::Model::load(argv[1]);
    for (int k = 2; k < argc; ++k) {
      std::cout << model.run(portfire::Input::file(argv[k])).to_json() << '\n';
    }
    return 0;
  } catch (const portfire::Error& error) {
    const portfire::ErrorCodeInfo& info = portfire::info_of(error.code());
    std::cerr << info.name << ": " << error.what() << '\n';
    return info.exit_status;
  }
}
