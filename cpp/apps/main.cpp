#include <malloc.h>

#include <cstdlib>
#include <iostream>

#include <nlohmann/json.hpp>

#include "apps/options.h"
#include "apps/terminal.h"
#include "core/text.h"

namespace {

// glibc hands large freed blocks back to the kernel, and every inference faults its activations in again:
// up to three times slower. A program may set this for itself; a library must not.
void keep_freed_memory() {
  constexpr int kNever = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kNever);
  mallopt(M_TRIM_THRESHOLD, kNever);
  mallopt(M_TOP_PAD, 16 << 20);
}

bool wants_json(int argc, char** argv) {
  for (int k = 1; k < argc; ++k) {
    if (std::string_view(argv[k]) == "--json") return true;
  }
  return false;
}

int report(portfire::ErrorCode code, const std::string& message, bool json) {
  const portfire::ErrorCodeInfo& info = portfire::info_of(code);
  std::cout.flush();
  if (json) {
    const nlohmann::ordered_json line{{"error", {{"code", info.name}, {"message", message}}}};
    std::cout << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  }
  std::cerr << "portfire: " << message << '\n';
  return info.exit_status;
}

// Ends without LibTorch's static destructors, which take as long as loading a small model and free what the
// system takes back anyway. All that was printed must have left our hands before.
[[noreturn]] void leave(int status) {
  std::cout.flush();
  std::cerr.flush();
  std::_Exit(status);
}

/// Runs the command that the arguments name. Throws what it throws, and kInvalidArgument on other arguments.
void parse(CLI::App& app, int argc, char** argv) {
  using namespace portfire;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help and --version
      app.exit(error);
      return;
    }
    const std::string first = argc > 1 ? argv[1] : "-";
    const auto is_first = [&](const CLI::App* command) { return command->get_name() == first; };
    if (!first.starts_with('-') && app.get_subcommands(is_first).empty()) {
      throw Error(ErrorCode::kInvalidArgument, cat("there is no command ", quoted(first), "; see portfire --help"));
    }
    throw Error(ErrorCode::kInvalidArgument, cat(error.what(), "; see portfire --help"));
  }
}

}  // namespace

int main(int argc, char** argv) {
  using namespace portfire;
  keep_freed_memory();
  CLI::App app{"Runs PyTorch models without Python: inspect, verify, run, bench, tune, serve.", "portfire"};
  app.set_version_flag("--version", cat("portfire ", version(), " (LibTorch ", torch_version(), ")"));
  app.require_subcommand(1);
  int status = 0;
  apps::add_inspect(app, status);
  apps::add_verify(app, status);
  apps::add_run(app, status);
  apps::add_bench(app, status);
  apps::add_tune(app, status);
  apps::add_serve(app, status);
  apps::add_key(app);
  apps::add_completion(app);
  app.footer("Try: portfire inspect MODEL, or portfire run --help");
  const bool json = wants_json(argc, argv);
  try {
    parse(app, argc, argv);
    apps::flush_output();
  } catch (const Error& error) {
    status = report(error.code(), error.what(), json);
  } catch (const std::exception& error) {
    status = report(ErrorCode::kInternal, error.what(), json);
  }
  leave(status);
}
