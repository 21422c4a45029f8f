#include "apps/options.h"

#include <map>

namespace portfire::apps {

LoadOptions ModelOptions::load_options() const {
  static const std::map<std::string, Optimization> kLevels{{"auto", Optimization::kAuto},
                                                           {"none", Optimization::kNone},
                                                           {"freeze", Optimization::kFreeze},
                                                           {"full", Optimization::kFull}};
  LoadOptions options;
  options.device = Device::parse(device);
  options.engine = engine;
  options.optimization = kLevels.at(optimization);
  options.threads = threads;
  options.allow_ops = allow_ops;
  return options;
}

void add_model_options(CLI::App& command, ModelOptions& options, bool runs) {
  command.add_option("model", options.path, "A package, a TorchScript file, or a folder <name> or <name>/<version>")
      ->required()
      ->type_name("MODEL");
  command.add_flag("--json", options.json, "Print JSON for programs");
  command.add_option("--allow-op", options.allow_ops, "Allow an operator that is not on the list (again for more)")
      ->type_name("NAME")
      ->allow_extra_args(false);
  if (!runs) return;
  command.add_option("--device", options.device, "cpu, cuda or cuda:N")->type_name("DEVICE")->capture_default_str();
  command.add_option("--threads", options.threads, "Threads for one operator; 0: what this process may use")
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--engine", options.engine, "auto, torchscript or graph (programs of torch.export)")->type_name("ENGINE")->capture_default_str();
  command.add_option("--optimize", options.optimization, "auto, none, freeze or full")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"auto", "none", "freeze", "full"}))
      ->capture_default_str();
}

}  // namespace portfire::apps
