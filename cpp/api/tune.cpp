#include <portfire/tune.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "api/fallback.h"
#include "api/profile.h"
#include "api/sample_inputs.h"
#include "archive/package.h"
#include "core/text.h"

namespace portfire {
namespace {

using Clock = std::chrono::steady_clock;

double since_us(Clock::time_point start) { return std::chrono::duration<double, std::micro>(Clock::now() - start).count(); }

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[sizeof "2026-11-21"];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

void check_options(const TuneOptions& options) {
  const auto refuse = [](const std::string& what) { throw Error(ErrorCode::kInvalidArgument, what); };
  if (!(options.seconds > 0)) refuse(cat("seconds is ", options.seconds, "; more than 0"));
  if (options.batches.empty()) refuse("no batch is named; give at least one");
  for (const std::int64_t batch : options.batches) {
    if (batch < 1) refuse(cat("batch is ", batch, "; at least 1"));
  }
  for (const int threads : options.threads) {
    if (threads < 1 || threads > 1024) refuse(cat("threads is ", threads, "; 1 to 1024"));
  }
}

/// One for each way that the options leave open.
std::vector<LoadOptions> ways(const std::string& path, const LoadOptions& load, const TuneOptions& options) {
  std::vector<int> threads = options.threads;
  if (threads.empty()) threads = load.threads > 0 ? std::vector{load.threads} : cpu_budget() > 1 ? std::vector{1, cpu_budget()} : std::vector{1};
  std::vector<Optimization> levels{Optimization::kFull, Optimization::kFreeze};
  if (load.optimization != Optimization::kAuto) levels = {load.optimization};
  std::vector<LoadOptions> all;
  for (const std::string& engine : engines(path, load)) {
    std::vector<Precision> precisions{load.precision == Precision::kFastest ? Precision::kPackaged : load.precision};
    if (load.precision == Precision::kFastest && engine == "graph") precisions.push_back(Precision::kBFloat16);
    for (const Optimization level : levels) {
      if (engine == "compiled" && level != levels.front()) continue;  // its code is as it is
      for (const Precision precision : precisions) {
        for (const int count : threads) {
          LoadOptions one = load;
          one.engine = engine;
          one.optimization = level;
          one.precision = precision;
          one.threads = count;
          one.use_profile = false;
          all.push_back(std::move(one));
        }
      }
    }
  }
  return all;
}

double median_us(const Model& model, const std::vector<Tensor>& inputs, double seconds) {
  for (int k = 0; k < 3; ++k) (void)model.forward(inputs);
  std::vector<double> times;
  const auto begin = Clock::now();
  do {
    const auto start = Clock::now();
    (void)model.forward(inputs);
    times.push_back(since_us(start));
  } while (since_us(begin) < seconds * 1e6);
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

/// A row for each batch.
std::vector<TuneRow> measure(const std::string& path, const LoadOptions& way, const TuneOptions& options) {
  TuneRow row{.engine = way.engine, .optimization = way.optimization, .precision = way.precision, .threads = way.threads};
  std::vector<TuneRow> rows;
  const std::vector<std::int64_t> batches = options.inputs.empty() ? options.batches : std::vector{options.batches.front()};
  std::optional<Model> model;
  const auto start = Clock::now();
  try {
    model = Model::load(path, way);
    if (model->info().optimization != name_of(way.optimization)) row.problem = model->info().optimization;  // and why it is less
  } catch (const Error& error) {
    if (!may_be_passed_over(error)) throw;
    row.problem = error.what();
  }
  row.load_ms = since_us(start) / 1000;
  for (const std::int64_t batch : batches) {
    TuneRow one = row;
    one.batch = batch;
    try {
      if (model) {
        const std::vector<Tensor> inputs = sample_inputs(model->info(), options.inputs, batch);
        const bool has_axes = !inputs.empty() && !inputs.front().shape().empty();
        one.batch = has_axes ? inputs.front().shape()[0] : 1;  // of a fixed size, or as given
        if (!rows.empty() && rows.back().batch == one.batch) continue;
        if (one.problem.empty()) one.p50_us = median_us(*model, inputs, options.seconds);
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalidInput) throw;
      one.problem = error.what();  // a batch that the program does not take
    }
    rows.push_back(std::move(one));
  }
  return rows;
}

/// So that no way is charged with it.
void start_libtorch(const std::string& path, const LoadOptions& way) {
  try {
    (void)Model::load(path, way);
  } catch (const Error&) {
    // said when this way is measured
  }
}

}  // namespace

TuneReport tune(const std::string& path, const LoadOptions& load, const TuneOptions& options) {
  check_options(options);
  const std::vector<LoadOptions> all = ways(path, load, options);
  start_libtorch(path, all.front());
  TuneReport report;
  for (std::size_t k = 0; k < all.size(); ++k) {
    for (TuneRow& row : measure(path, all[k], options)) report.rows.push_back(std::move(row));
    if (options.progress != nullptr) options.progress((static_cast<double>(k) + 1) / static_cast<double>(all.size()), options.progress_context);
  }
  LoadOptions open = load;
  open.threads = 0;
  report.chosen = fastest(report.rows, open);
  if (!options.keep || report.chosen < 0) return report;
  report.profile = profile_path(package_files(path), load.device);
  if (report.profile.empty()) throw Error(ErrorCode::kIo, "neither XDG_CACHE_HOME nor HOME says where to keep the profile; set one");
  write_profile(report.profile, {.made = today(), .rows = report.rows});
  return report;
}

}  // namespace portfire
