#include <portfire/bench.h>

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/sample_inputs.h"
#include "archive/package.h"
#include "core/text.h"
#include "engine/graph/step_clock.h"
#include "engine/torchscript/plain.h"

namespace portfire {
namespace {

using Clock = std::chrono::steady_clock;

double since_us(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

Latency summarise(std::vector<double> microseconds, double load_ms, double first_us) {
  std::sort(microseconds.begin(), microseconds.end());
  const auto at = [&](double quantile) {
    return microseconds[static_cast<std::size_t>(quantile * static_cast<double>(microseconds.size() - 1))];
  };
  return {.load_ms = load_ms, .first_us = first_us, .p50_us = at(0.5), .p90_us = at(0.9), .p99_us = at(0.99),
          .min_us = microseconds.front(), .calls = static_cast<std::int64_t>(microseconds.size())};
}

template <typename Call>
void measure(std::vector<double>& into, double seconds, Call&& call) {
  const auto begin = Clock::now();
  do {
    const auto start = Clock::now();
    call();
    into.push_back(since_us(start));
  } while (since_us(begin) < seconds * 1e6);
}

std::int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

/// Apart from the other measurements: to look at the clock for each step takes time too.
std::vector<StepTime> time_steps(const Model& model, const std::vector<Tensor>& inputs, double seconds) {
  const graph::StepClock clock;
  std::vector<double> calls;
  measure(calls, seconds, [&] { (void)model.forward(inputs); });
  return clock.times();
}

nlohmann::ordered_json json_of(const Latency& latency) {
  return {{"load_ms", latency.load_ms}, {"first_us", latency.first_us}, {"min_us", latency.min_us},
          {"p50_us", latency.p50_us},   {"p90_us", latency.p90_us},     {"p99_us", latency.p99_us},
          {"calls", latency.calls}};
}

/// LibTorch itself runs nothing but TorchScript: the model's own file, or the version's other. Empty where there is none.
std::string torchscript_file(const std::string& path, LoadOptions load, const ModelInfo& info) {
  if (info.engine == "torchscript") return info.path;
  const std::string other = package_files(path).back();
  if (other == info.path) return {};
  load.engine = "torchscript";
  load.precision = Precision::kPackaged;
  try {
    (void)Model::load(other, load);  // LibTorch checks nothing, so Portfire does before it sees the file
    return other;
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

BenchReport bench(const std::string& path, const LoadOptions& load, const BenchOptions& options) {
  if (options.batch < 1) throw Error(ErrorCode::kInvalidArgument, cat("batch is ", options.batch, "; at least 1"));
  if (!(options.seconds > 0)) throw Error(ErrorCode::kInvalidArgument, cat("seconds is ", options.seconds, "; more than 0"));
  (void)Model::load(path, load);  // starts LibTorch itself, which neither side is to be charged with
  auto start = Clock::now();
  const Model model = Model::load(path, load);
  const double load_ms = since_us(start) / 1000;
  const std::vector<Tensor> inputs = sample_inputs(model.info(), options.inputs, options.batch);

  BenchReport report;
  report.batch = options.batch;
  report.engine = model.info().engine;
  report.optimization = model.info().optimization;
  report.precision = model.info().precision;
  report.device = load.device;
  report.threads = model.info().threads;
  if (options.steps && report.engine != "graph") {
    throw Error(ErrorCode::kUnsupported, cat("the engine ", report.engine, " has no steps to time; graph has"));
  }
  const auto call = [&] { (void)model.forward(inputs); };
  start = Clock::now();
  call();
  const double first_us = since_us(start);
  for (int k = 0; k < 3; ++k) call();
  report.peak_bytes = peak_memory();

  std::unique_ptr<torchscript::PlainProgram> plain;
  double plain_load_ms = 0;
  double plain_first_us = 0;
  const std::string file = torchscript_file(path, load, model.info());
  if (options.plain && !file.empty()) {
    start = Clock::now();
    plain = torchscript::load_plain(file, load.device, report.threads);
    plain_load_ms = since_us(start) / 1000;
    plain->set_inputs(inputs);
    start = Clock::now();
    plain->call();
    plain_first_us = since_us(start);
    for (int k = 0; k < 3; ++k) plain->call();  // past the profiling executor's first passes
  }
  // In turn, so that a machine that slows down slows both.
  constexpr int kRounds = 20;
  std::vector<double> ours;
  std::vector<double> theirs;
  for (int round = 0; round < kRounds; ++round) {
    measure(ours, options.seconds / kRounds, call);
    if (plain) measure(theirs, options.seconds / kRounds, [&] { plain->call(); });
    if (options.progress != nullptr) options.progress((round + 1.0) / kRounds, options.progress_context);
  }
  if (options.steps) report.steps = time_steps(model, inputs, options.seconds);
  report.portfire = summarise(std::move(ours), load_ms, first_us);
  if (plain) report.plain = summarise(std::move(theirs), plain_load_ms, plain_first_us);
  report.items_per_second = static_cast<double>(options.batch) * 1e6 / report.portfire.p50_us;
  return report;
}

std::string BenchReport::to_json() const {
  nlohmann::ordered_json out{{"engine", engine},   {"optimization", optimization},
                             {"precision", precision}, {"device", device.to_string()},
                             {"threads", threads}, {"batch", batch},
                             {"items_per_second", items_per_second}, {"peak_bytes", peak_bytes},
                             {"portfire", json_of(portfire)}};
  for (const StepTime& step : steps) {
    out["steps"].push_back({{"name", step.name}, {"operation", step.operation}, {"result", step.result}, {"us", step.us}});
  }
  if (plain.calls > 0) out["plain_libtorch"] = json_of(plain);
  return out.dump();
}

}  // namespace portfire
