#include "apps/options.h"

#include <span>
#include <sstream>

#include "core/text.h"

namespace portfire::apps {

LoadOptions ModelOptions::load_options() const {
  LoadOptions options;
  options.device = Device::parse(device);
  options.engine = engine;
  options.optimization = optimization_from_name(optimization);
  options.precision = precision_from_name(precision);
  options.max_error = max_error;
  options.map_file = map_file;
  options.trust_compiled = trust_compiled;
  options.trusted_keys = trusted_keys;
  options.threads = threads;
  options.allow_ops = allow_ops;
  options.skip_passes = skip_passes;
  return options;
}

NamedTensor tensor_of_shape(const std::string& text) {
  const auto fail = [&] {
    throw Error(ErrorCode::kInvalidArgument, cat("--shape ", quoted(text), "; NAME=SIZE,SIZE…[:DTYPE], as in x=1,3,224,224 or ids=1,128:int64"));
  };
  const auto equals = text.find('=');
  const std::string name = equals == std::string::npos ? "" : text.substr(0, equals);
  std::string sizes = equals == std::string::npos ? text : text.substr(equals + 1);
  DType dtype = DType::kFloat32;
  if (const auto colon = sizes.find(':'); colon != std::string::npos) {
    dtype = dtype_from_name(sizes.substr(colon + 1));
    sizes.resize(colon);
  }
  std::vector<std::int64_t> shape;
  std::istringstream in(sizes);
  for (std::string part; std::getline(in, part, ',');) {
    if (part.empty() || part.size() > 12 || part.find_first_not_of("0123456789") != std::string::npos) fail();
    shape.push_back(std::stoll(part));
  }
  if (shape.empty()) fail();
  return {name, Tensor::zeros(dtype, Dims(std::span<const std::int64_t>(shape)))};
}

void add_model_options(CLI::App& command, ModelOptions& options, bool runs) {
  command.add_option("model", options.path, "A package, a TorchScript file, or a folder <name> or <name>/<version>")
      ->required()
      ->type_name("MODEL");
  command.add_flag("--json", options.json, "Print JSON for programs");
  command.add_option("--allow-op", options.allow_ops, "Allow an operator that is not on the list (again for more)")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command.add_option("--skip-pass", options.skip_passes, "Leave a pass of the engine graph out (again for more), to find one that is wrong")
      ->type_name("NAME")
      ->allow_extra_args(false);
  if (!runs) return;
  command.add_option("--device", options.device, "cpu, cuda or cuda:N")->type_name("DEVICE")->capture_default_str();
  command.add_option("--threads", options.threads, "Threads for one operator; 0: as tuned, else what this process may use")
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--engine", options.engine, "auto, torchscript, graph (programs of torch.export) or compiled (AOTInductor's)")->type_name("ENGINE")->capture_default_str();
  command.add_option("--optimize", options.optimization, "auto, none, freeze or full")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"auto", "none", "freeze", "full"}))
      ->capture_default_str();
  command.add_option("--precision", options.precision, "packaged, bfloat16, int8 (weights of linear layers) or fastest (bfloat16 where it holds)")
      ->type_name("KIND")
      ->check(CLI::IsMember({"packaged", "bfloat16", "int8", "fastest"}))
      ->capture_default_str();
  command.add_option("--max-error", options.max_error, "How far outputs may be off in another precision; 0: the package's tolerance")
      ->type_name("E")
      ->capture_default_str();
  command.add_flag("--map-file", options.map_file, "Use the weights of a model.pt2 where the file has them, shared with other processes");
  command.add_flag("--trust-compiled", options.trust_compiled, "Machine code in the package may be loaded: it can do what this program can");
  command.add_option("--trusted-key", options.trusted_keys, "The same for what this minisign key signed in MODEL.minisig (again for more)")
      ->type_name("KEY")
      ->allow_extra_args(false);
}

}  // namespace portfire::apps
