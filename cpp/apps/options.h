#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include <portfire/model.h>

namespace portfire::apps {

/// What every command that opens a model takes.
struct ModelOptions {
  std::string path;
  std::string device = "cpu";
  std::string engine = "auto";
  std::string optimization = "auto";
  std::string precision = "packaged";
  double max_error = 0;
  bool trust_compiled = false;
  std::vector<std::string> trusted_keys;
  bool map_file = false;
  int threads = 0;
  std::vector<std::string> allow_ops;
  std::vector<std::string> skip_passes;
  bool json = false;

  /// Throws kInvalidArgument.
  [[nodiscard]] LoadOptions load_options() const;
};

/// "x=1,3,224,224" or "ids=1,128:int64" as a tensor of zeros; a bare "1,64" stands for its place. Throws kInvalidArgument.
NamedTensor tensor_of_shape(const std::string& text);

/// Adds MODEL, --json, --allow-op, --skip-pass and, with `runs`, --device, --threads, --engine, --optimize, --precision,
/// --max-error, --map-file, --trust-compiled and --trusted-key.
void add_model_options(CLI::App& command, ModelOptions& options, bool runs);

// One function a command: adds it to the program; parsing runs it. The exit status goes to `status`.
void add_inspect(CLI::App& app, int& status);
void add_verify(CLI::App& app, int& status);
void add_run(CLI::App& app, int& status);
void add_bench(CLI::App& app, int& status);
void add_serve(CLI::App& app, int& status);
void add_key(CLI::App& app);
void add_tune(CLI::App& app, int& status);
void add_completion(CLI::App& app);

}  // namespace portfire::apps
