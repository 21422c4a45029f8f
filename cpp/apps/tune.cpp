#include <portfire/tune.h>

#include <iostream>

#include "apps/options.h"
#include "apps/terminal.h"
#include "core/text.h"

namespace portfire::apps {
namespace {

struct Options : ModelOptions {
  std::vector<std::int64_t> batches{1, 8};
  std::vector<std::string> shapes;
  double seconds = 0.3;
  bool dry_run = false;
};

void print_row(const TuneRow& row, bool chosen) {
  char text[200];
  std::snprintf(text, sizeof text, "  %-12s %-8s %-9s %7d %6lld", row.engine.c_str(), std::string(name_of(row.optimization)).c_str(),
                std::string(name_of(row.precision)).c_str(), row.threads, static_cast<long long>(row.batch));
  std::cout << (chosen ? green(text) : text);
  if (row.problem.empty()) {
    std::snprintf(text, sizeof text, " %11s %11s %9.0f", microseconds(row.load_ms * 1000).c_str(), microseconds(row.p50_us).c_str(),
                  static_cast<double>(row.batch) * 1e6 / row.p50_us);
    std::cout << (chosen ? green(text) : text) << '\n';
  } else {
    std::cout << "  " << dim(row.problem) << '\n';
  }
}

void print(const std::string& path, const TuneReport& report) {
  std::cout << bold(path) << '\n' << dim("  engine       optimize precision threads  batch        load         p50   items/s") << '\n';
  for (std::size_t k = 0; k < report.rows.size(); ++k) print_row(report.rows[k], static_cast<int>(k) == report.chosen);
  if (report.chosen < 0) {
    std::cout << "nothing that was measured may be used\n";
    return;
  }
  const TuneRow& best = report.rows[static_cast<std::size_t>(report.chosen)];
  std::cout << "fastest at batch " << best.batch << ": " << best.engine << ", " << name_of(best.optimization) << ", " << name_of(best.precision)
            << ", " << best.threads << (best.threads == 1 ? " thread" : " threads") << '\n';
  if (!report.profile.empty()) std::cout << "kept in " << report.profile << ", which --engine auto reads from now on\n";
}

}  // namespace

void add_tune(CLI::App& app, int& status) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("tune", "Measure every way to run a model here and keep the fastest that holds");
  add_model_options(*command, *options, true);
  command->add_option("--batch", options->batches, "Samples in one call; what is fastest at the first is kept (again for more)")
      ->type_name("N")
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--shape", options->shapes, "An input's shape, as x=1,3,224,224 or ids=1,128:int64 (again for more)")
      ->type_name("SHAPE")
      ->allow_extra_args(false);
  command->add_option("--seconds", options->seconds, "Of measuring, for each row")->type_name("S")->capture_default_str();
  command->add_flag("--dry-run", options->dry_run, "Print what was measured and keep nothing");
  command->footer("Examples:\n  portfire tune models/digits-cnn\n  portfire tune models/digits-cnn --precision fastest --max-error 1e-2");
  command->callback([options, &status] {
    TuneOptions tune_options;
    for (const std::string& shape : options->shapes) tune_options.inputs.push_back(tensor_of_shape(shape));
    tune_options.batches = options->batches;
    tune_options.seconds = options->seconds;
    tune_options.keep = !options->dry_run;
    Progress progress("measuring");
    tune_options.progress = [](double done, void* bar) { static_cast<Progress*>(bar)->update(done); };
    tune_options.progress_context = &progress;
    const TuneReport report = tune(options->path, options->load_options(), tune_options);
    progress.clear();
    if (options->json) {
      std::cout << report.to_json() << '\n';
    } else {
      print(options->path, report);
    }
    if (report.chosen < 0) status = info_of(ErrorCode::kVerificationFailed).exit_status;
  });
}

}  // namespace portfire::apps
