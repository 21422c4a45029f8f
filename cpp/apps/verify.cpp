#include <iostream>
#include <map>

#include "apps/options.h"
#include "apps/terminal.h"
#include "core/text.h"

namespace portfire::apps {
namespace {

void print(const ModelInfo& info, const VerifyReport& report) {
  std::cout << bold(info.manifest ? info.manifest->name : info.path) << "  " << report.engine << " on "
            << report.device.to_string() << ", " << report.optimization << ", " << report.precision << '\n';
  // One row for each output: its worst sample.
  std::vector<std::string> order;
  std::map<std::string, StageResult> worst;
  for (const StageResult& stage : report.stages) {
    const std::string key = cat(stage.stage, "/", stage.output);
    const auto [found, fresh] = worst.emplace(key, stage);
    if (fresh) order.push_back(key);
    if (stage.passed < found->second.passed || (stage.passed == found->second.passed && stage.max_abs_error > found->second.max_abs_error)) {
      found->second = stage;
    }
  }
  for (const std::string& key : order) {
    const StageResult& stage = worst.at(key);
    std::cout << "  " << (stage.passed ? green("ok  ") : red("FAIL")) << "  " << key << std::string(key.size() < 26 ? 26 - key.size() : 1, ' ')
              << "largest error " << stage.max_abs_error << dim(cat("  tolerance ", stage.tolerance.atol, " + ", stage.tolerance.rtol, " |x|"));
    if (!stage.problem.empty()) std::cout << "  sample " << stage.sample << ": " << stage.problem;
    std::cout << '\n';
  }
  std::cout << (report.passed() ? green("verified") : red("not verified")) << ": " << report.summary() << '\n';
}

/// False where the golden samples do not hold.
bool verify(const std::string& path, const LoadOptions& load, bool json) {
  const Model model = Model::load(path, load);
  const VerifyReport report = model.verify();
  if (json) {
    std::cout << report.to_json() << '\n';
  } else {
    print(model.info(), report);
  }
  return report.passed();
}

}  // namespace

void add_verify(CLI::App& app, int& status) {
  auto options = std::make_shared<ModelOptions>();
  CLI::App* command = app.add_subcommand("verify", "Replay the golden samples here; exit 1 on a mismatch");
  add_model_options(*command, *options, true);
  command->footer("Examples:\n  portfire verify models/digits-cnn\n  portfire verify model.pt --optimize full --json");
  command->callback([options, &status] {
    LoadOptions load = options->load_options();
    load.check_golden = false;
    const Precision asked = load.precision;
    const int failed = info_of(ErrorCode::kVerificationFailed).exit_status;
    for (const std::string& engine : engines(options->path, load)) {  // one for each that could be chosen
      load.engine = engine;
      load.precision = Precision::kPackaged;
      if (!verify(options->path, load, options->json)) status = failed;
      if (asked == Precision::kPackaged || engine != "graph") continue;
      load.precision = asked == Precision::kFastest ? Precision::kBFloat16 : asked;
      const bool holds = verify(options->path, load, options->json);
      if (!holds && asked != Precision::kFastest) status = failed;  // kFastest does without it
    }
  });
}

}  // namespace portfire::apps
