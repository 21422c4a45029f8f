#include <portfire/bench.h>

#include <iostream>

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
  command->footer("Examples:\n  portfire bench models/digits-cnn --threads 1\n  portfire bench traced.pt --shape x=8,3,224,224 --json");
  command->callback([options] {
    BenchOptions bench_options;
    for (const std::string& shape : options->shapes) bench_options.inputs.push_back(tensor_of_shape(shape));
    bench_options.batch = options->batch;
    bench_options.seconds = options->seconds;
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
    }
  });
}

}  // namespace portfire::apps
