#include <portfire/bench.h>

#include <nlohmann/json.hpp>

#include "../archive/expect_error.h"
#include "packages.h"

namespace portfire {
namespace {

using test::expect_error;
using test::floats;

constexpr auto kArgument = ErrorCode::kInvalidArgument;

void expect_sane(const Latency& latency) {
  EXPECT_GT(latency.calls, 0);
  EXPECT_GT(latency.load_ms, 0);
  EXPECT_GT(latency.first_us, 0);
  EXPECT_GT(latency.min_us, 0);
  EXPECT_LE(latency.min_us, latency.p50_us);
  EXPECT_LE(latency.p50_us, latency.p90_us);
  EXPECT_LE(latency.p90_us, latency.p99_us);
  EXPECT_LT(latency.p50_us, 1e6);
}

TEST(Bench, MeasuresBothSides) {
  double last = 0;
  BenchOptions options;
  options.batch = 3;
  options.seconds = 0.1;
  options.progress = [](double done, void* context) { *static_cast<double*>(context) = done; };
  options.progress_context = &last;
  const BenchReport report = bench(test::kBrightness, {.threads = 1}, options);
  expect_sane(report.portfire);
  expect_sane(report.plain);
  EXPECT_EQ(report.batch, 3);
  EXPECT_EQ(report.threads, 1);
  EXPECT_DOUBLE_EQ(report.items_per_second, 3e6 / report.portfire.p50_us);
  EXPECT_GT(report.peak_bytes, 1 << 20);
  EXPECT_DOUBLE_EQ(last, 1);
  const auto json = nlohmann::json::parse(report.to_json());
  EXPECT_EQ(json["batch"], 3);
  EXPECT_EQ(json["engine"], "torchscript");
  EXPECT_EQ(json["optimization"], "freeze");
  EXPECT_EQ(json["portfire"]["calls"], report.portfire.calls);
  EXPECT_EQ(json["plain_libtorch"]["p50_us"], report.plain.p50_us);
}

TEST(Bench, LeavesThePlainSideOutWhenAsked) {
  BenchOptions options;
  options.seconds = 0.01;
  options.plain = false;
  const BenchReport report = bench(test::kAdd, {.threads = 1}, options);
  EXPECT_EQ(report.plain.calls, 0);
  EXPECT_FALSE(nlohmann::json::parse(report.to_json()).contains("plain_libtorch"));
}

TEST(Bench, TakesInputsWhereNoManifestDescribesThem) {
  BenchOptions options;
  options.seconds = 0.01;
  expect_error([&] { (void)bench(test::kTraced, {}, options); }, kArgument, "nothing says what forward takes; give its shapes");
  options.inputs = {{"x", floats({1, 2}, {2})}};
  expect_sane(bench(test::kTraced, {}, options).portfire);
}

TEST(Bench, PutsNamedInputsInTheirPlaces) {
  BenchOptions options;
  options.seconds = 0.01;
  options.inputs = {{"b", floats({1, 2}, {1, 2})}, {"a", floats({1, 2}, {1, 2})}};
  expect_sane(bench(test::kAdd, {}, options).plain);
  options.inputs[0].name = "c";
  expect_error([&] { (void)bench(test::kAdd, {}, options); }, ErrorCode::kInvalidInput, "no input \"c\"; its inputs are a, b");
}

TEST(Bench, RefusesOptionsThatMakeNoSense) {
  BenchOptions options;
  options.batch = 0;
  expect_error([&] { (void)bench(test::kAdd, {}, options); }, kArgument, "batch is 0; at least 1");
  options = {};
  options.seconds = 0;
  expect_error([&] { (void)bench(test::kAdd, {}, options); }, kArgument, "seconds is 0; more than 0");
}

TEST(Bench, ThrowsAsLoadingDoes) {
  expect_error([] { (void)bench("/no/such", {}, {}); }, ErrorCode::kNotFound, "/no/such");
}

}  // namespace
}  // namespace portfire
