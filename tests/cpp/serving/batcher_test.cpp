#include "serving/batcher.h"

#include <gtest/gtest.h>

#include <future>
#include <numeric>
#include <thread>

#include "../archive/expect_error.h"
#include "doubler.h"

namespace portfire::serving {
namespace {

using test::Doubler;
using test::expect_error;
using test::Gate;
using test::row;
using namespace std::chrono_literals;

using Values = std::vector<float>;

/// A call and what comes of it.
struct Asked {
  std::shared_ptr<Job> job = std::make_shared<Job>();
  std::future<std::pair<Result, JobTimes>> result;

  explicit Asked(Tensor x, int priority = 0) {
    job->input = std::vector<NamedTensor>{{"x", std::move(x)}};
    job->priority = priority;
    auto promise = std::make_shared<std::promise<std::pair<Result, JobTimes>>>();
    result = promise->get_future();
    job->done = [promise](Result got, const JobTimes& times) { promise->set_value({std::move(got), times}); };
  }

  Values values() {
    Result got = result.get().first;
    if (const Error* error = std::get_if<Error>(&got)) throw *error;
    const auto& outputs = std::get<std::vector<NamedTensor>>(got);
    EXPECT_EQ(outputs.size(), 1U);
    EXPECT_EQ(outputs[0].name, "y");
    const Tensor plain = outputs[0].tensor.contiguous();
    const auto all = plain.values<float>();
    return {all.begin(), all.end()};
  }
};

/// A batcher whose first call is held up, so that what comes after it waits.
class HeldUp {
 public:
  explicit HeldUp(const BatchingOptions& options = {}, std::int64_t max_batch = 64)
      : model(std::make_shared<Doubler>(max_batch, [this] { gate.pass(); })), batcher(std::make_shared<Batcher>(Doubler::loaded(model), options, crew)) {
    batcher->submit(first.job);
    gate.wait_for(1);
  }
  Asked ask(Tensor x, int priority = 0) {
    Asked asked(std::move(x), priority);
    batcher->submit(asked.job);
    return asked;
  }
  void go() {
    gate.open();
    EXPECT_EQ(first.values(), (Values{2}));
  }
  /// What `forward` was called with, but for the first call; all must have been answered.
  [[nodiscard]] std::vector<Dims> calls() const { return {model->engine.forwards.begin() + 1, model->engine.forwards.end()}; }

  Gate gate;
  Crew crew{1};
  std::shared_ptr<Doubler> model;
  std::shared_ptr<Batcher> batcher;
  Asked first{row({1})};
};

TEST(Batcher, JoinsWhatComesWhileABatchRuns) {
  HeldUp held;
  Asked a = held.ask(row({1, 2}));
  Asked b = held.ask(Tensor::copy_of(Values{3, 4, 5, 6}, {2, 2}));
  Asked c = held.ask(row({7, 8}));
  EXPECT_EQ(held.batcher->waiting(), 3);
  held.go();
  EXPECT_EQ(a.values(), (Values{2, 4}));
  EXPECT_EQ(b.values(), (Values{6, 8, 10, 12}));
  EXPECT_EQ(c.values(), (Values{14, 16}));
  EXPECT_EQ(held.calls(), (std::vector<Dims>{{4, 2}}));
  EXPECT_EQ(held.batcher->waiting(), 0);
  const Counters& counters = held.batcher->counters();
  EXPECT_EQ(counters.samples, 5U);
  EXPECT_EQ(counters.batch.total(), 2U);
  EXPECT_EQ(counters.total.total(), 4U);
  EXPECT_EQ(counters.failed(), 0U);
}

TEST(Batcher, SaysHowLargeTheBatchWasAndHowLongEachWaited) {
  HeldUp held;
  Asked a = held.ask(row({1}));
  Asked b = held.ask(row({2}));
  held.go();
  const JobTimes times = a.result.get().second;
  EXPECT_EQ(times.batch, 2);
  EXPECT_GE(times.queue, b.result.get().second.queue);
}

TEST(Batcher, NeverMixesShapes) {
  HeldUp held;
  Asked a = held.ask(row({1}));
  Asked b = held.ask(row({2, 3}));
  Asked c = held.ask(row({4}));
  held.go();
  EXPECT_EQ(a.values(), (Values{2}));
  EXPECT_EQ(b.values(), (Values{4, 6}));
  EXPECT_EQ(c.values(), (Values{8}));
  EXPECT_EQ(held.calls(), (std::vector<Dims>{{2, 1}, {1, 2}}));
}

TEST(Batcher, FillsNoBatchBeyondItsMost) {
  HeldUp held({.max_batch = 3});
  std::vector<Asked> asked;
  for (float k = 0; k < 5; ++k) asked.push_back(held.ask(Tensor::copy_of(Values{k, k}, {2, 1})));
  held.go();
  for (std::size_t k = 0; k < 5; ++k) EXPECT_EQ(asked[k].values(), (Values{2 * static_cast<float>(k), 2 * static_cast<float>(k)}));
  for (const Dims& call : held.calls()) EXPECT_EQ(call, (Dims{2, 1}));
}

TEST(Batcher, TakesTheMostFromTheManifestWhereNothingElseIsSaid) {
  HeldUp held({}, 2);
  std::vector<Asked> asked;
  for (float k = 0; k < 4; ++k) asked.push_back(held.ask(row({k})));
  held.go();
  for (Asked& one : asked) (void)one.values();
  EXPECT_EQ(held.calls(), (std::vector<Dims>{{2, 1}, {2, 1}}));
}

TEST(Batcher, OneLargerThanTheMostIsDoneAlone) {
  HeldUp held({.max_batch = 2});
  Asked small = held.ask(row({1}));
  Asked large = held.ask(Tensor::copy_of(Values{1, 2, 3, 4, 5}, {5, 1}));
  held.go();
  EXPECT_EQ(small.values(), (Values{2}));
  EXPECT_EQ(large.values(), (Values{2, 4, 6, 8, 10}));
}

TEST(Batcher, OneBadSpoilsNoneOfTheOthers) {
  HeldUp held;
  Asked good = held.ask(row({1}));
  Asked negative = held.ask(row({-1}));
  Asked flat = held.ask(Tensor::copy_of(Values{1}, {1}));
  Asked integers = held.ask(Tensor::copy_of(std::vector<std::int64_t>{1}, {1, 1}));
  Asked unnamed = held.ask(row({1}));
  std::get<0>(unnamed.job->input)[0].name = "z";
  Asked last = held.ask(row({5}));
  held.go();
  EXPECT_EQ(good.values(), (Values{2}));
  EXPECT_EQ(last.values(), (Values{10}));
  expect_error([&] { negative.values(); }, ErrorCode::kInvalidInput, "a negative number");
  expect_error([&] { flat.values(); }, ErrorCode::kInvalidInput, "x");
  expect_error([&] { integers.values(); }, ErrorCode::kInvalidInput, "int64");
  expect_error([&] { unnamed.values(); }, ErrorCode::kInvalidInput, "z");
  EXPECT_EQ(held.batcher->counters().failed(), 4U);
  EXPECT_EQ(held.batcher->counters().total.total(), 3U);
}

TEST(Batcher, AScalarIsRefusedAndNotRead) {
  HeldUp held;
  Asked scalar = held.ask(Tensor::copy_of(Values{1}, Dims{}));
  Asked none = held.ask(row({1}));
  std::get<0>(none.job->input).clear();
  held.go();
  expect_error([&] { scalar.values(); }, ErrorCode::kInvalidInput, "x");
  expect_error([&] { none.values(); }, ErrorCode::kInvalidInput, "x");
}

TEST(Batcher, AnEmptyTensorIsRefusedAlone) {
  HeldUp held;
  Asked empty = held.ask(Tensor::zeros(DType::kFloat32, {0, 3}));
  Asked full = held.ask(row({1, 2, 3}));
  held.go();
  expect_error([&] { empty.values(); }, ErrorCode::kInvalidInput, "empty");
  EXPECT_EQ(full.values(), (Values{2, 4, 6}));
}

TEST(Batcher, WhatIsLateIsNotBegun) {
  HeldUp held;
  Asked late = held.ask(row({1}));
  late.job->deadline = Clock::now() - 1ms;
  Asked in_time = held.ask(row({2}));
  in_time.job->deadline = Clock::now() + 1h;
  held.go();
  expect_error([&] { late.values(); }, ErrorCode::kDeadlineExceeded, "waited");
  EXPECT_EQ(in_time.values(), (Values{4}));
  EXPECT_EQ(held.calls(), (std::vector<Dims>{{1, 1}}));
}

TEST(Batcher, WhatWasCancelledIsNotBegunAndIsToldSo) {
  HeldUp held;
  Asked gone = held.ask(row({1}));
  gone.job->cancelled = true;
  held.first.job->cancelled = true;  // it has begun: it ends as ever
  held.go();
  expect_error([&] { gone.values(); }, ErrorCode::kCancelled, "went away");
  EXPECT_TRUE(held.calls().empty());
}

TEST(Batcher, RefusesMoreThanMayWait) {
  HeldUp held({.max_waiting = 2});
  Asked a = held.ask(row({1}));
  Asked b = held.ask(row({2}));
  Asked c(row({3}));
  expect_error([&] { held.batcher->submit(c.job); }, ErrorCode::kOverloaded, "2 calls");
  held.go();
  EXPECT_EQ(a.values(), (Values{2}));
  EXPECT_EQ(b.values(), (Values{4}));
  held.batcher->submit(c.job);
  EXPECT_EQ(c.values(), (Values{6}));
}

TEST(Batcher, TakesTheUrgentFirstAndEqualsInTheirOrder) {
  HeldUp held({.max_batch = 1});
  std::mutex mutex;
  std::vector<float> order;
  std::vector<Asked> asked;
  for (const auto& [value, priority] : std::vector<std::pair<float, int>>{{1, 0}, {2, 5}, {3, -1}, {4, 5}, {5, 0}, {6, 9}}) {
    Asked one(row({value}), priority);
    one.job->done = [&order, &mutex, value, told = one.job->done](Result result, const JobTimes& times) {
      {
        const std::lock_guard lock(mutex);
        order.push_back(value);
      }
      told(std::move(result), times);
    };
    held.batcher->submit(one.job);
    asked.push_back(std::move(one));
  }
  held.go();
  for (Asked& one : asked) (void)one.values();
  EXPECT_EQ(order, (std::vector<float>{6, 2, 4, 1, 5, 3}));
}

TEST(Batcher, WaitsForOthersAtMostItsDelay) {
  Crew crew(1);
  const auto model = std::make_shared<Doubler>();
  const auto batcher = std::make_shared<Batcher>(Doubler::loaded(model), BatchingOptions{.max_delay = 50ms}, crew);
  const auto start = Clock::now();
  Asked a(row({1}));
  Asked b(row({2}));
  batcher->submit(a.job);
  batcher->submit(b.job);
  EXPECT_EQ(a.values(), (Values{2}));
  EXPECT_GE(Clock::now() - start, 50ms);
  EXPECT_EQ(b.values(), (Values{4}));
}

TEST(Batcher, AFullBatchWaitsForNobody) {
  Crew crew(1);
  const auto model = std::make_shared<Doubler>();
  const auto batcher = std::make_shared<Batcher>(Doubler::loaded(model), BatchingOptions{.max_batch = 4, .max_delay = 1h}, crew);
  std::vector<Asked> asked;
  for (float k = 0; k < 4; ++k) {
    asked.emplace_back(row({k}));
    batcher->submit(asked.back().job);
  }
  for (float k = 0; k < 4; ++k) EXPECT_EQ(asked[static_cast<std::size_t>(k)].values(), (Values{2 * k}));  // or the test never ends
  EXPECT_EQ(model->engine.forwards, (std::vector<Dims>{{4, 1}}));
}

TEST(Batcher, TwoFullBatchesWaitForNobody) {
  Crew crew(1);
  Gate gate;
  const auto model = std::make_shared<Doubler>(64, [&gate] { gate.pass(); });
  const auto batcher = std::make_shared<Batcher>(Doubler::loaded(model), BatchingOptions{.max_batch = 2, .max_delay = 1h}, crew);
  std::vector<Asked> asked;
  for (float k = 0; k < 6; ++k) {
    asked.emplace_back(row({k}));
    batcher->submit(asked.back().job);
    if (k == 1) gate.wait_for(1);
  }
  gate.open();
  for (Asked& one : asked) (void)one.values();
}

/// How much each of two threads is given of 16 calls that wait, by a model that takes so long for one.
void expect_halves(std::chrono::nanoseconds cost) {
  Crew crew(2);
  const auto model = std::make_shared<Doubler>(64, [cost] {
    const std::chrono::nanoseconds end = thread_time() + cost;
    while (thread_time() < end) continue;
  });
  const auto batcher = std::make_shared<Batcher>(Doubler::loaded(model), BatchingOptions{}, crew);
  Asked first(row({1}));
  batcher->submit(first.job);
  EXPECT_EQ(first.values(), (Values{2}));
  crew.run(false, [](int) {});
  crew.run(false, [](int) {});  // what the call took is learnt after the answer is told
  Gate gate;
  std::thread holding[2];
  for (std::thread& one : holding) one = std::thread([&] { crew.run(false, [&](int) { gate.pass(); }); });
  gate.wait_for(2);
  std::vector<Asked> asked;
  for (float k = 0; k < 16; ++k) {
    asked.emplace_back(row({k}));
    batcher->submit(asked.back().job);
  }
  gate.open();
  for (std::thread& one : holding) one.join();
  for (float k = 0; k < 16; ++k) EXPECT_EQ(asked[static_cast<std::size_t>(k)].values(), (Values{2 * k}));
  EXPECT_GE(model->engine.forwards.size(), 3U);
  for (const Dims& call : model->engine.forwards) EXPECT_LE(call[0], 8);
}

TEST(Batcher, ThreadsSideBySideShareWhatWaits) { expect_halves(20 * 8 * CallCost::kLong); }  // long for each of a batch of 16

TEST(Batcher, ThreadsShareMuchThatIsShortEach) { expect_halves(CallCost::kMuch / 4); }

TEST(Batcher, ManyTogetherAreAnsweredAsEachAlone) {
  Crew crew(4);
  const auto model = std::make_shared<Doubler>(16);
  const auto batcher = std::make_shared<Batcher>(Doubler::loaded(model), BatchingOptions{.max_delay = 200us, .max_waiting = 100000}, crew);
  constexpr int kThreads = 8;
  constexpr int kEach = 300;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int k = 0; k < kEach; ++k) {
        const int rows = 1 + (k * 7 + thread) % 3;
        const int width = 1 + (k + thread) % 2;
        Values x(static_cast<std::size_t>(rows * width));
        std::iota(x.begin(), x.end(), static_cast<float>(thread * 1000 + k));
        const bool bad = k % 11 == 0;
        if (bad) x.back() = -1;
        Asked asked(Tensor::copy_of(x, {rows, width}), k % 3);
        batcher->submit(asked.job);
        try {
          const Values got = asked.values();
          for (std::size_t j = 0; j < x.size(); ++j) wrong += got.size() != x.size() || got[j] != 2 * x[j];
          wrong += bad;
        } catch (const Error&) {
          wrong += !bad;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(batcher->waiting(), 0);
  EXPECT_EQ(batcher->counters().total.total() + batcher->counters().failed(), static_cast<std::uint64_t>(kThreads * kEach));
}

TEST(Batcher, RawInputsAndTensorsDoNotShareACall) {
  HeldUp held;
  Asked tensors = held.ask(row({1}));
  Asked raw(row({}));
  raw.job->input = Input::tensor(row({3}));
  held.batcher->submit(raw.job);
  Asked more = held.ask(row({5}));
  held.go();
  EXPECT_EQ(tensors.values(), (Values{2}));
  EXPECT_TRUE(std::holds_alternative<Answer>(raw.result.get().first));
  EXPECT_EQ(more.values(), (Values{10}));
}

TEST(Batcher, LivesUntilItsLastCallHasEnded) {
  Gate gate;
  Crew crew(1);
  std::weak_ptr<const Doubler> model;
  Asked asked(row({4}));
  {
    auto own = std::make_shared<Doubler>(8, [&gate] { gate.pass(); });
    model = own;
    const auto batcher = std::make_shared<Batcher>(Doubler::loaded(std::move(own)), BatchingOptions{}, crew);
    batcher->submit(asked.job);
    gate.wait_for(1);
  }
  EXPECT_FALSE(model.expired());
  gate.open();
  EXPECT_EQ(asked.values(), (Values{8}));
}

}  // namespace
}  // namespace portfire::serving
