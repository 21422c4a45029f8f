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
  int threads = 0;
  std::vector<std::string> allow_ops;
  bool json = false;

  /// Throws kInvalidArgument.
  [[nodiscard]] LoadOptions load_options() const;
};

/// Adds MODEL, --json, --allow-op and, with `runs`, --device, --threads, --engine and --optimize.
void add_model_options(CLI::App& command, ModelOptions& options, bool runs);

// One function a command: adds it to the program; parsing runs it. The exit status goes to `status`.
void add_inspect(CLI::App& app, int& status);
void add_verify(CLI::App& app, int& status);
void add_run(CLI::App& app, int& status);
void add_bench(CLI::App& app, int& status);
void add_completion(CLI::App& app);

}  // namespace portfire::apps
