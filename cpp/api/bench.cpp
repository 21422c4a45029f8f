#include <portfire/bench.h>

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/signature.h"
#include "core/text.h"
#include "engine/torchscript/plain.h"
#include "tasks/check.h"

namespace portfire {
namespace {

using Clock = std::chrono::steady_clock;

double since_us(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

template <typename T>
void fill(Tensor& tensor, double low, double high, std::mt19937& random) {
  auto* values = static_cast<T*>(tensor.mutable_data());
  for (std::int64_t k = 0; k < tensor.numel(); ++k) {
    if constexpr (std::is_floating_point_v<T>) {
      values[k] = static_cast<T>(std::uniform_real_distribution<double>(low, high)(random));
    } else {
      values[k] = static_cast<T>(std::uniform_int_distribution<std::int64_t>(static_cast<std::int64_t>(low),
                                                                            static_cast<std::int64_t>(high))(random));
    }
  }
}

/// Seeded values within the declared range; dtypes that have no C++ type stay zero.
Tensor made_up(const TensorSpec& spec, std::int64_t batch, std::mt19937& random) {
  Dims shape;
  std::vector<std::int64_t> sizes;
  for (std::size_t axis = 0; axis < spec.shape.size(); ++axis) {
    const Dimension& dimension = spec.shape[axis];
    const bool is_batch = axis == 0 && !dimension.symbol.empty();
    if (!dimension.symbol.empty() && !is_batch) {
      throw Error(ErrorCode::kInvalidArgument, cat("input ", spec.name, ": the size ", dimension.symbol,
                                                   " is not fixed by the manifest; give the shape, as in --shape ", spec.name, "=1,3,224,224"));
    }
    sizes.push_back(is_batch ? batch : dimension.size);
  }
  Tensor tensor = Tensor::zeros(spec.dtype, Dims(std::span<const std::int64_t>(sizes)));
  const double low = spec.minimum.value_or(0);
  const double high = std::max(low, spec.maximum.value_or(1));
  switch (spec.dtype) {
    case DType::kUInt8: fill<std::uint8_t>(tensor, low, high, random); break;
    case DType::kInt32: fill<std::int32_t>(tensor, low, high, random); break;
    case DType::kInt64: fill<std::int64_t>(tensor, low, high, random); break;
    case DType::kFloat32: fill<float>(tensor, low, high, random); break;
    case DType::kFloat64: fill<double>(tensor, low, high, random); break;
    default: break;
  }
  return tensor;
}

std::vector<Tensor> inputs_for(const Model& model, const BenchOptions& options) {
  if (!options.inputs.empty()) return in_order(forward_inputs(model.info()), options.inputs, model.info().path);
  const auto& forward = model.info().signature;
  if (!forward) {
    throw Error(ErrorCode::kInvalidArgument, cat(model.info().path, ": nothing says what forward takes; give its shapes, as in --shape x=1,3,224,224"));
  }
  std::vector<Tensor> inputs;
  std::mt19937 random(0);
  for (const TensorSpec& spec : forward->inputs) inputs.push_back(made_up(spec, options.batch, random));
  return inputs;
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

nlohmann::ordered_json json_of(const Latency& latency) {
  return {{"load_ms", latency.load_ms}, {"first_us", latency.first_us}, {"min_us", latency.min_us},
          {"p50_us", latency.p50_us},   {"p90_us", latency.p90_us},     {"p99_us", latency.p99_us},
          {"calls", latency.calls}};
}

}  // namespace

BenchReport bench(const std::string& path, const LoadOptions& load, const BenchOptions& options) {
  if (options.batch < 1) throw Error(ErrorCode::kInvalidArgument, cat("batch is ", options.batch, "; at least 1"));
  if (!(options.seconds > 0)) throw Error(ErrorCode::kInvalidArgument, cat("seconds is ", options.seconds, "; more than 0"));
  (void)Model::load(path, load);  // starts LibTorch itself, which neither side is to be charged with
  auto start = Clock::now();
  const Model model = Model::load(path, load);
  const double load_ms = since_us(start) / 1000;
  const std::vector<Tensor> inputs = inputs_for(model, options);

  BenchReport report;
  report.batch = options.batch;
  report.engine = model.info().engine;
  report.optimization = model.info().optimization;
  report.device = load.device;
  report.threads = model.info().threads;
  const auto call = [&] { (void)model.forward(inputs); };
  start = Clock::now();
  call();
  const double first_us = since_us(start);
  for (int k = 0; k < 3; ++k) call();
  report.peak_bytes = peak_memory();

  std::unique_ptr<torchscript::PlainProgram> plain;
  double plain_load_ms = 0;
  double plain_first_us = 0;
  if (options.plain && report.engine == "torchscript") {  // LibTorch runs nothing else
    start = Clock::now();
    plain = torchscript::load_plain(model.info().path, load.device, report.threads);
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
  report.portfire = summarise(std::move(ours), load_ms, first_us);
  if (plain) report.plain = summarise(std::move(theirs), plain_load_ms, plain_first_us);
  report.items_per_second = static_cast<double>(options.batch) * 1e6 / report.portfire.p50_us;
  return report;
}

std::string BenchReport::to_json() const {
  nlohmann::ordered_json out{{"engine", engine},   {"optimization", optimization},
                             {"device", device.to_string()}, {"threads", threads},
                             {"batch", batch},     {"items_per_second", items_per_second},
                             {"peak_bytes", peak_bytes},     {"portfire", json_of(portfire)}};
  if (plain.calls > 0) out["plain_libtorch"] = json_of(plain);
  return out.dump();
}

}  // namespace portfire
