#include <portfire/bench.h>

#include <algorithm>
#include <iostream>
#include <numeric>

#include "apps/options.h"
#include "apps/terminal.h"
#include "core/text.h"

namespace portfire::apps {
namespace {

struct Options : ModelOptions {
  std::int64_t batch = 1;
  double seconds = 1;
  std::vector<std::string> shapes;
  bool no_plain = false;
  bool steps = false;
};

void line(const char* name, const Latency& latency) {
  char row[200];
  std::snprintf(row, sizeof row, "  %-16s %11s %11s %11s %11s %11s %9lld", name,
                microseconds(latency.load_ms * 1000).c_str(), microseconds(latency.first_us).c_str(),
                microseconds(latency.p50_us).c_str(), microseconds(latency.p90_us).c_str(),
                microseconds(latency.p99_us).c_str(), static_cast<long long>(latency.calls));
  std::cout << row << '\n';
}

void print(const std::string& path, const BenchReport& report) {
  std::cout << bold(path) << "  " << report.engine << " on " << report.device.to_string() << ", " << report.optimization
            << ", " << report.precision << ", " << report.threads << " threads, batch " << report.batch << '\n'
            << dim("                          load  first call         p50         p90         p99     calls") << '\n';
  line("portfire", report.portfire);
  if (report.plain.calls > 0) line("plain LibTorch", report.plain);
  std::cout << "  " << static_cast<long long>(report.items_per_second) << " items a second, peak memory "
            << human_bytes(static_cast<double>(report.peak_bytes));
  if (report.plain.calls > 0) {
    const double delta = report.portfire.p50_us - report.plain.p50_us;
    std::cout << ", median " << microseconds(std::abs(delta)) << (delta > 0 ? " above" : " below") << " plain LibTorch";
  }
  std::cout << '\n';
}

void print(std::vector<StepTime> steps) {
  constexpr std::size_t kMost = 20;
  std::stable_sort(steps.begin(), steps.end(), [](const StepTime& a, const StepTime& b) { return a.us > b.us; });
  const auto sum = [&](std::size_t first) {
    return std::accumulate(steps.begin() + static_cast<std::ptrdiff_t>(first), steps.end(), 0.0, [](double us, const StepTime& step) { return us + step.us; });
  };
  const double all = sum(0);
  std::cout << dim("         time   share  step") << '\n';
  const auto row = [&](double us, const std::string& what) {
    char text[64];
    std::snprintf(text, sizeof text, "  %11s  %5.1f%%  ", microseconds(us).c_str(), all > 0 ? 100 * us / all : 0);
    std::cout << text << what << '\n';
  };
  const std::size_t shown = std::min(steps.size(), kMost);
  for (std::size_t k = 0; k < shown; ++k) row(steps[k].us, cat(steps[k].operation, "  ", steps[k].result, "  # ", steps[k].name));
  if (shown < steps.size()) row(sum(shown), cat(steps.size() - shown, " more"));
}

}  // namespace

void add_bench(CLI::App& app, int&) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("bench", "Latency, throughput and memory of forward, beside plain LibTorch");
  add_model_options(*command, *options, true);
  command->add_option("--batch", options->batch, "Samples in one call")->type_name("N")->capture_default_str();
  command->add_option("--seconds", options->seconds, "Of measuring, for each side")->type_name("S")->capture_default_str();
  command->add_option("--shape", options->shapes, "An input's shape, as x=1,3,224,224 or ids=1,128:int64 (again for more)")
      ->type_name("SHAPE")
      ->allow_extra_args(false);
  command->add_flag("--no-plain", options->no_plain, "Leave plain LibTorch out");
  command->add_flag("--steps", options->steps, "Also which steps of the engine graph take the time");
  command->footer("Examples:\n  portfire bench models/digits-cnn --threads 1\n  portfire bench traced.pt --shape x=8,3,224,224 --json");
  command->callback([options] {
    BenchOptions bench_options;
    for (const std::string& shape : options->shapes) bench_options.inputs.push_back(tensor_of_shape(shape));
    bench_options.batch = options->batch;
    bench_options.seconds = options->seconds;
    bench_options.steps = options->steps;
    bench_options.plain = !options->no_plain;
    Progress progress("measuring");
    bench_options.progress = [](double done, void* bar) { static_cast<Progress*>(bar)->update(done); };
    bench_options.progress_context = &progress;
    const BenchReport report = bench(options->path, options->load_options(), bench_options);
    progress.clear();
    if (options->json) {
      std::cout << report.to_json() << '\n';
    } else {
      print(options->path, report);
      if (options->steps) print(report.steps);
    }
  });
}

}  // namespace portfire::apps
